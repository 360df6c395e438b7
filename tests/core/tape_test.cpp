#include <doctest/doctest.h>
#include <memory>
#include <utility>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/tape.hpp>
#include "toy_ops.hpp"

using namespace isotape;
using namespace isotape::toy;

TEST_SUITE_BEGIN("core/tape");

namespace {

const Op identity_op("test_identity");

}  // namespace

TEST_CASE("tape: a chain is differentiated in reverse order") {
  Tape tape;
  const Var x = tape.leaf(vector({3}));
  const Var y = mul(x, x);
  tape.backward(mul(y, y));
  CHECK(x.grad().item() == 4 * 27);
}

TEST_CASE("tape: a visitor is told every node of the walk, last to first, before it is passed") {
  Tape tape;
  const Var x = tape.leaf(vector({3}));
  const Var y = mul(x, x);
  const Var unused = mul(y, x);
  std::vector<std::size_t> places;
  std::vector<bool> done;
  tape.backward(y, {}, {.visit = [&](std::size_t node) {
                  places.push_back(node);
                  done.push_back(static_cast<bool>(x.grad()));
                }});
  CHECK(places == std::vector<std::size_t>{1, 0});
  CHECK(done == std::vector<bool>{false, true});
  CHECK(unused.value().item() == 27);
}

TEST_CASE("tape: a gradient handed to two inputs is not corrupted by later additions") {
  Tape tape;
  const Var x = tape.leaf(vector({1, 2}));
  const Var z = tape.leaf(vector({5, 7}));
  const Var y = add(x, z);      // dL/dz shares its tensor with dL/dx ...
  const Var twice = add(x, x);  // ... to which this adds
  tape.backward(add(y, twice), vector({1, 10}));
  CHECK(equal(x.grad(), {3, 30}));
  CHECK(equal(z.grad(), {1, 10}));
}

TEST_CASE("tape: the caller's dy is left as it was") {
  Tape tape;
  const Var x = tape.leaf(vector({1, 2}));
  const Tensor dy = vector({1, 10});
  tape.backward(add(add(x, x), x), dy);
  CHECK(equal(dy, {1, 10}));
  CHECK(equal(x.grad(), {3, 30}));
}

TEST_CASE("tape: a vjp may overwrite a dy that nobody else holds, and sees when it may not") {
  bool unique = false;
  const auto identity = [&](const Var& x) {
    return record(
        identity_op, x.value().clone(), {x}, {},
        [&unique](Tensor dy, Needs) -> Grads<1> {
          unique = dy.unique();
          return {std::move(dy)};
        },
        [](const Tangents<1>& d) { return d[0]; });
  };
  Tape tape;
  const Var x = tape.leaf(vector({1, 2}));
  const Var y = identity(x);
  tape.backward(y, vector({1, 1}), {.retain = true});
  CHECK(unique);
  tape.keep_grad(y);
  tape.backward(y, vector({1, 1}));
  CHECK_FALSE(unique);
}

TEST_CASE("tape: needs tells which inputs are recorded") {
  Tape tape;
  const Var x = tape.leaf(vector({2}));
  bool first = false;
  bool second = true;
  const Var y = record(
      identity_op, x.value().clone(), {x, Var(vector({4}))}, {},
      [&](const Tensor& dy, Needs needs) -> Grads<2> {
        first = needs(0);
        second = needs(1);
        return {dy, dy};  // what is not needed is dropped
      },
      [](const Tangents<2>& d) { return d[0]; });
  tape.backward(y);
  CHECK(first);
  CHECK_FALSE(second);
  CHECK(x.grad().item() == 1);
}

TEST_CASE("tape: backward adds to its sinks, whatever they hold") {
  Tensor sink = vector({100, -7});
  const Tensor alias = sink;
  for (int i = 0; i < 2; ++i) {
    Tape tape;
    const Var x = tape.leaf(vector({3, 4}), &sink);
    tape.backward(mul(x, x), vector({1, 10}));
    CHECK_FALSE(x.grad());
  }
  CHECK(equal(sink, {100 + 2 * 6, -7 + 2 * 80}));
  CHECK(equal(alias, {100, -7}));
}

TEST_CASE("tape: a sink that is absent is set, to a tensor of its own") {
  Tensor of_a;
  Tensor of_b;
  Tape tape;
  const Var a = tape.leaf(vector({1, 2}), &of_a);
  const Var b = tape.leaf(vector({3, 4}), &of_b);
  tape.backward(add(a, b), vector({1, 10}));
  CHECK(equal(of_a, {1, 10}));
  CHECK(equal(of_b, {1, 10}));
  CHECK_FALSE(of_a.shares_storage_with(of_b));
  CHECK(of_a.unique());
}

TEST_CASE("tape: a sink adds in place from the second step on") {
  Tensor sink = Tensor::zeros({2}, DType::f64);
  const auto* data = sink.data<double>();
  Tape tape;
  const Var x = tape.leaf(vector({3, 4}), &sink);
  tape.backward(mul(x, x), vector({1, 1}));
  CHECK(sink.data<double>() == data);
}

TEST_CASE("tape: several outputs, of which not all were used") {
  for (const int used : {0, 1, 2}) {
    CAPTURE(used);
    Tape tape;
    const Var a = tape.leaf(vector({5}));
    const Var b = tape.leaf(vector({3}));
    const Vars y = sum_difference(a, b);
    CHECK(y[0].value().item() == 8);
    CHECK(y[1].value().item() == 2);
    tape.backward(used == 2 ? mul(y[0], y[1]) : y[static_cast<std::size_t>(used)]);
    CHECK(a.grad().item() == (used == 2 ? 10 : 1));
    CHECK(b.grad().item() == (used == 2 ? -6 : 1 - 2 * used));
  }
}

TEST_CASE("tape: backward from several values, an absent dy being zero") {
  Tape tape;
  const Var x = tape.leaf(vector({3}));
  const Vars ys = {mul(x, x), add(x, x), x};
  tape.backward(ys, {vector({1}), {}, vector({100})});
  CHECK(x.grad().item() == 106);
}

TEST_CASE("tape: values that do not lead to y get no gradient") {
  Tape tape;
  const Var x = tape.leaf(vector({3}));
  const Var unused = tape.leaf(vector({4}));
  const Var later = mul(x, unused);
  tape.backward(mul(x, x));
  CHECK(x.grad().item() == 6);
  CHECK_FALSE(unused.grad());
  CHECK_FALSE(later.grad());
}

TEST_CASE("tape: keep_grad keeps the gradient of a value in between") {
  Tape tape;
  const Var x = tape.leaf(vector({3}));
  const Var y = mul(x, x);
  const Var z = mul(y, y);
  tape.keep_grad(y);
  tape.backward(z);
  CHECK(y.grad().item() == 18);
  CHECK(x.grad().item() == 108);
  CHECK_FALSE(z.grad());
}

TEST_CASE("tape: clear_grads forgets what leaves hold") {
  Tape tape;
  const Var x = tape.leaf(vector({3}));
  const Var y = mul(x, x);
  tape.backward(y, {}, {.retain = true});
  tape.clear_grads();
  CHECK_FALSE(x.grad());
  tape.backward(y);
  CHECK(x.grad().item() == 6);
}

TEST_CASE("tape: saved values are freed as the walk passes them") {
  Tape tape;
  Tensor value = vector({3, 4});
  const Var x = tape.leaf(vector({1, 1}));
  const Var y = mul(x, Var(value));
  CHECK_FALSE(value.unique());
  tape.backward(y, vector({1, 1}));
  CHECK(value.unique());
}

TEST_CASE("tape: tapes may end in any order") {
  auto first = std::make_unique<Tape>();
  auto second = std::make_unique<Tape>();
  first.reset();
  CHECK(Tape::active() == second.get());
  auto third = std::make_unique<Tape>();
  second.reset();
  CHECK(Tape::active() == third.get());
  third.reset();
  CHECK(Tape::active() == nullptr);
}

TEST_CASE("tape: the innermost tape records, and the outer one again after it") {
  CHECK(Tape::active() == nullptr);
  Tape outer;
  const Var x = outer.leaf(vector({3}));
  {
    Tape inner;
    CHECK(Tape::active() == &inner);
    CHECK_FALSE(is_recording({x}));
    CHECK(mul(x, x).tape() == nullptr);
    const Var z = inner.leaf(x.value());
    inner.backward(mul(z, z));
    CHECK(z.grad().item() == 6);
  }
  CHECK(Tape::active() == &outer);
  CHECK(outer.size() == 1);
  outer.backward(mul(x, x));
  CHECK(x.grad().item() == 6);
}

TEST_CASE("tape: nothing is recorded of constants, while paused, or without a tape") {
  const Var constant(vector({2}));
  CHECK_FALSE(is_recording({constant}));
  CHECK(mul(constant, constant).value().item() == 4);
  Tape tape;
  const Var x = tape.leaf(vector({3}));
  CHECK(mul(constant, constant).tape() == nullptr);
  {
    const Paused paused;
    CHECK(Tape::active() == nullptr);
    CHECK_FALSE(is_recording({x}));
    CHECK(mul(x, x).tape() == nullptr);
    CHECK(mul(x, x).value().item() == 9);
  }
  CHECK(is_recording({constant, x}));
  CHECK(tape.size() == 1);
  CHECK(mul(x, constant).tape() == &tape);
  CHECK(tape.size() == 2);
  CHECK(tape.op_name(0) == "leaf");
  CHECK(tape.op_name(1) == "test_mul");
}

TEST_CASE("tape: a vjp may compute with ops, unrecorded") {
  Tape tape;
  const Var x = tape.leaf(vector({3}));
  const Var y = record(
      identity_op, x.value().clone(), {x}, {},
      [x](const Tensor& dy, Needs) -> Grads<1> { return {mul(x, dy).value()}; },
      [](const Tangents<1>& d) { return d[0]; });
  tape.backward(y);
  CHECK(x.grad().item() == 3);
  CHECK(tape.size() == 2);
}

TEST_CASE("tape: recall gives what was remembered under that version") {
  Tape tape;
  const int key = 0;
  CHECK_FALSE(tape.recall(&key, 1));
  const Var x = tape.leaf(vector({3}));
  tape.remember(&key, 1, x);
  CHECK(tape.recall(&key, 1).value().shares_storage_with(x.value()));
  CHECK_FALSE(tape.recall(&key, 2));
  tape.remember(&key, 2, mul(x, x));
  CHECK(tape.recall(&key, 2).value().item() == 9);
  CHECK_FALSE(tape.recall(&key, 1));
}

TEST_CASE("jvp: tangents run forward, absent ones are zero") {
  Tape tape;
  const Var x = tape.leaf(vector({3}));
  const Var z = tape.leaf(vector({5}));
  const Vars ys = {mul(mul(x, x), z), add(z, z), x};
  const Vars xs = {x, z};
  const Tensors of_x = tape.jvp(ys, xs, {vector({1}), {}});
  CHECK(of_x[0].item() == 30);
  CHECK_FALSE(of_x[1]);
  CHECK(of_x[2].item() == 1);
  const Tensors both = tape.jvp(ys, xs, {vector({1}), vector({10})});
  CHECK(both[0].item() == 30 + 90);
  CHECK(both[1].item() == 20);
}

TEST_CASE("jvp: several outputs, and a tangent given for a value in between") {
  Tape tape;
  const Var a = tape.leaf(vector({5}));
  const Var b = tape.leaf(vector({3}));
  const Vars y = sum_difference(a, b);
  const Var z = mul(y[0], y[1]);
  CHECK(tape.jvp({&z, 1}, {&b, 1}, {vector({1})})[0].item() == -6);
  CHECK(tape.jvp({&z, 1}, y, {vector({1}), {}})[0].item() == 2);
}

TEST_SUITE_END();
