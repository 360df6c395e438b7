#include <doctest/doctest.h>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reduce.hpp>
#include <isotape/optim/input_ascent.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("optim/input_ascent");

namespace {

double row_distance(const Tensor& a, const Tensor& b, std::int64_t row) {
  Tensor difference = a.rows(row, row + 1).to(DType::f64).clone();
  add_in_place(difference, b.rows(row, row + 1).to(DType::f64), -1);
  return frobenius_norm(difference);
}

}  // namespace

TEST_CASE("ascend_inputs: finds the corner of a ball in which a linear function is largest") {
  Rng rng(1);
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor slope = Tensor::of({3, 0, -4}, {3, 1}, dtype);
    const Tensor x = random_normal(rng, {4, 3}, 1, dtype);
    const auto f = [&](const Var& at) { return sum(matmul(at, slope)); };
    const Tensor y = ascend_inputs(x, f, {.eps = 0.5, .steps = 20, .step = 0.1}, rng);
    CHECK(y.dtype() == dtype);
    for (std::int64_t i = 0; i < 4; ++i) {
      CHECK(row_distance(y, x, i) <= 0.5 * (1 + 1e-6));
      CHECK(y.at(3 * i) - x.at(3 * i) == doctest::Approx(0.3).epsilon(1e-3));
      CHECK(y.at(3 * i + 2) - x.at(3 * i + 2) == doctest::Approx(-0.4).epsilon(1e-3));
    }
  }
}

TEST_CASE("ascend_inputs: rows do not push each other, pixels stay pixels") {
  Rng rng(2);
  const Tensor x = random_uniform(rng, {3, 2, 2, 1}, 0, 1);
  const Tensor weight = Tensor::of({1e6, 1e6, 1e6, 1e6, 1, 1, 1, 1, 0, 0, 0, 0}, {3, 2, 2, 1});
  const auto f = [&](const Var& at) { return sum(mul(at, weight)); };
  const Tensor y = ascend_inputs(
      x, f, {.eps = 0.2, .steps = 10, .step = 0.05, .start = 0, .in_unit = true}, rng);
  CHECK(row_distance(y, x, 0) > 0.05);
  CHECK(row_distance(y, x, 1) > 0.05);
  CHECK(row_distance(y, x, 2) == 0);  // no gradient, no noise
  for (std::int64_t k = 0; k < y.size(); ++k) {
    CHECK(y.at(k) >= 0);
    CHECK(y.at(k) <= 1);
  }
}

TEST_CASE("ascend_inputs: leaves the parameters and the recording around it alone") {
  Rng rng(3);
  Linear layer(4, 3, Bjorck{}, rng);
  const Tensor x = random_normal(rng, {5, 4});
  Tape tape;
  const Var y = layer.forward(x);
  const std::size_t recorded = tape.size();
  const Tensor attacked = ascend_inputs(
      x, [&](const Var& at) { return sum(square(layer.forward(at))); }, {}, rng);
  CHECK(tape.size() == recorded);
  CHECK(Tape::active() == &tape);
  CHECK(max_abs_diff(attacked, x) > 0);
  for (const auto& [name, parameter] : layer.parameters()) {
    CHECK_FALSE(parameter->grad);
  }
  tape.backward(sum(y));
  for (const auto& [name, parameter] : layer.parameters()) {
    CHECK(bool(parameter->grad));
  }
}

TEST_CASE("ascend_inputs: the same seed finds the same inputs") {
  const Tensor x = Tensor::zeros({2, 3});
  const auto f = [](const Var& at) { return sum(square(at)); };
  Rng one(4);
  Rng two(4);
  Rng other(5);
  const Tensor y = ascend_inputs(x, f, {}, one);
  CHECK(max_abs_diff(y, ascend_inputs(x, f, {}, two)) == 0);
  CHECK(max_abs_diff(y, ascend_inputs(x, f, {}, other)) > 0);
}

TEST_CASE("ascend_inputs: refuses what is out of range") {
  Rng rng(6);
  const Tensor x({1, 2});
  const auto f = [](const Var& at) { return sum(at); };
  CHECK_THROWS_WITH_AS(ascend_inputs(Tensor({0, 2}), f, {}, rng),
                       "ascend_inputs: expected inputs of shape [N, ...], got [0, 2]", ShapeError);
  CHECK_THROWS_WITH_AS(ascend_inputs(x, f, {.eps = -1}, rng),
                       "ascend_inputs: expected a finite eps >= 0, got -1", ValueError);
  CHECK_THROWS_WITH_AS(ascend_inputs(x, f, {.step = 0}, rng),
                       "ascend_inputs: expected a finite step > 0, got 0", ValueError);
  CHECK_THROWS_WITH_AS(ascend_inputs(x, f, {.steps = -1}, rng),
                       "ascend_inputs: expected steps >= 0, got -1", ValueError);
}

TEST_SUITE_END();
