#include <doctest/doctest.h>

#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/tape.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/tape");

namespace {

const Op square_op("test_square");

Tensor times(const Tensor& a, const Tensor& b, double factor) {
  Tensor y(a.shape(), a.dtype());
  for (std::int64_t i = 0; i < a.size(); ++i) {
    y.write<double>()[i] = factor * a.data<double>()[i] * b.data<double>()[i];
  }
  return y;
}

// y = x^2, with a gradient that can be made wrong by a factor.
Var square(const Var& x_var, double wrong = 1) {
  const Tensor& x = x_var.value();
  return record(
      square_op, times(x, x, 1), {x_var}, {x},
      [x, wrong](const Tensor& dy, Needs) -> Grads<1> { return {times(dy, x, 2 * wrong)}; },
      [x](const Tangents<1>& dx) { return times(dx[0], x, 2); });
}

}  // namespace

TEST_CASE("tape: a chain is differentiated in reverse order") {
  Tape tape;
  const Var x = tape.leaf(Tensor::of({3}, {1}, DType::f64));
  const Var y = square(square(x));
  tape.backward(y);
  CHECK(y.value().item() == 81);
  CHECK(x.grad().item() == 4 * 27);
}

TEST_CASE("gradcheck: accepts a right vjp and rejects one that is 1 % off") {
  Rng rng(3);
  const Tensor x = random_normal(rng, {4, 5}, 1, DType::f64);
  CHECK(gradcheck("square", [](const Vars& in) { return square(in[0]); }, {x}));
  const CheckReport report =
      gradcheck("square", [](const Vars& in) { return square(in[0], 1.01); }, {x});
  CHECK_FALSE(report);
}

TEST_SUITE_END();
