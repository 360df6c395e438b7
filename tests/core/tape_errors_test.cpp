#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/core/tape.hpp>

#include "toy_ops.hpp"

using namespace isotape;
using namespace isotape::toy;

TEST_SUITE_BEGIN("core/tape");

namespace {

const Op wrong_shape_op("test_wrong_shape");

}  // namespace

TEST_CASE("tape: a second backward needs retain, and adds to the gradients of leaves") {
  Tape tape;
  const Var x = tape.leaf(vector({3}));
  const Var y = mul(x, x);
  tape.backward(y, {}, {.retain = true});
  tape.backward(y);
  CHECK(x.grad().item() == 12);
  CHECK_THROWS_WITH_AS(tape.backward(y),
                       "test_mul: expected a recording with its saved values, got one that an "
                       "earlier backward freed; pass {.retain = true} there",
                       Error);
}

TEST_CASE("tape: a saved value that was overwritten since stops backward and jvp") {
  Tape tape;
  Tensor value = vector({3, 4});
  const Var x = tape.leaf(vector({1, 1}));
  const Var y = mul(x, Var(value));
  value.write<double>()[0] = 5;
  const char* text =
      "test_mul: expected the saved value of shape [2] as it was recorded, got one that was "
      "overwritten since";
  CHECK_THROWS_WITH_AS(tape.backward(y, vector({1, 1})), text, Error);
  CHECK_THROWS_WITH_AS(tape.jvp({&y, 1}, {&x, 1}, {vector({1, 1})}), text, Error);
}

TEST_CASE("tape: a gradient of the wrong shape or type names the op and the input") {
  const auto broken = [](const Var& x, const Tensor& grad) {
    return record(
        wrong_shape_op, x.value().clone(), {Var(vector({1})), x}, {},
        [grad](const Tensor&, Needs) -> Grads<2> {
          return {Tensor(), grad};
        },
        [](const Tangents<2>& d) { return d[1]; });
  };
  Tape tape;
  const Var x = tape.leaf(vector({1, 2}));
  CHECK_THROWS_WITH_AS(tape.backward(broken(x, vector({1, 2, 3})), vector({1, 1})),
                       "test_wrong_shape: expected a gradient of shape [2] and type f64 for input "
                       "1, got [3] and f64",
                       ShapeError);
  CHECK_THROWS_WITH_AS(tape.backward(broken(x, Tensor::zeros({2})), vector({1, 1})),
                       "test_wrong_shape: expected a gradient of shape [2] and type f64 for input "
                       "1, got [2] and f32",
                       ShapeError);
}

TEST_CASE("tape: backward rejects a dy that does not fit, and values of no or another tape") {
  Tape tape;
  const Var x = tape.leaf(vector({1, 2}));
  const Var y = mul(x, x);
  CHECK_THROWS_WITH_AS(tape.backward(y), "backward: expected a scalar or a dy, got shape [2]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(tape.backward(y, vector({1, 2, 3})),
                       "backward: expected equal shapes, got [2] and [3]", ShapeError);
  CHECK_THROWS_WITH_AS(tape.backward(y, Tensor::zeros({2})),
                       "backward: expected equal element types, got f64 and f32", ShapeError);
  CHECK_THROWS_WITH_AS(tape.backward({&y, 1}, {}), "backward: expected 1 gradients, got 0",
                       ShapeError);
  CHECK_THROWS_WITH_AS(tape.backward(Var(vector({1}))),
                       "backward: expected a value recorded on this tape", ValueError);
  CHECK_THROWS_WITH_AS(tape.keep_grad(Var(vector({1}))),
                       "keep_grad: expected a value recorded on this tape", ValueError);
  Tape other;
  CHECK_THROWS_WITH_AS(other.backward(y, vector({1, 1})),
                       "backward: expected a value recorded on this tape", ValueError);
}

TEST_CASE("tape: an op rejects values of two tapes") {
  Tape outer;
  const Var x = outer.leaf(vector({1, 2}));
  Tape inner;
  const Var z = inner.leaf(vector({3, 4}));
  CHECK_THROWS_WITH_AS(mul(x, z),
                       "test_mul: expected inputs of the active tape, got one of another tape",
                       ValueError);
}

TEST_CASE("jvp: rejects tangents that do not fit, and values of another tape") {
  Tape tape;
  const Var x = tape.leaf(vector({3}));
  CHECK_THROWS_WITH_AS(tape.jvp({&x, 1}, {&x, 1}, {}), "jvp: expected 1 tangents, got 0",
                       ShapeError);
  CHECK_THROWS_WITH_AS(tape.jvp({&x, 1}, {&x, 1}, {vector({1, 2})}),
                       "jvp: expected equal shapes, got [1] and [2]", ShapeError);
  const Var constant(vector({3}));
  CHECK_THROWS_WITH_AS(tape.jvp({&x, 1}, {&constant, 1}, {vector({1})}),
                       "jvp: expected a value recorded on this tape", ValueError);
  CHECK_THROWS_WITH_AS(tape.jvp({&constant, 1}, {&x, 1}, {vector({1})}),
                       "jvp: expected a value recorded on this tape", ValueError);
}

TEST_SUITE_END();
