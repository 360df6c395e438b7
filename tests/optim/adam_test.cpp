#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/optim/adam.hpp>

#include "trajectory.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("optim/adam");

namespace {

double plain(double w, const std::vector<double>& gradients, double lr, const AdamOptions& o) {
  double m = 0;
  double v = 0;
  for (std::size_t t = 1; t <= gradients.size(); ++t) {
    double g = gradients[t - 1];
    if (o.decoupled) {
      w -= lr * o.decay.rate * w;
    } else {
      g += o.decay.rate * w;
    }
    m = o.beta1 * m + (1 - o.beta1) * g;
    v = o.beta2 * v + (1 - o.beta2) * g * g;
    const double m_hat = m / (1 - std::pow(o.beta1, double(t)));
    const double v_hat = v / (1 - std::pow(o.beta2, double(t)));
    w -= lr * m_hat / (std::sqrt(v_hat) + o.eps);
  }
  return w;
}

}  // namespace

TEST_CASE("adam: equals the published recursion, with both kinds of decay") {
  const AdamOptions variants[] = {
      {},
      {.beta1 = 0.5, .beta2 = 0.9, .eps = 0.1},
      {.beta1 = 0, .beta2 = 0},
      {.decay = {.rate = 0.3}},
      {.decay = {.rate = 0.3}, .decoupled = true},
  };
  for (const AdamOptions& options : variants) {
    CAPTURE(options.beta1);
    CAPTURE(options.decay.rate);
    const auto make = [&](const ParameterList& list) {
      return std::make_unique<Adam>(list, options);
    };
    const auto rule = [&](double w, const std::vector<double>& g) {
      return plain(w, g, 0.1, options);
    };
    CHECK(deviation_from(make, 0.1, rule, DType::f64) < 1e-14);
    CHECK(deviation_from(make, 0.1, rule, DType::f32) < 2e-6);
  }
}

TEST_CASE("adam: the first step is lr against the sign, whatever the size of the gradient") {
  Parameter w(Tensor::zeros({4}, DType::f64));
  Adam adam({{"w", &w}}, {.eps = 1e-30});
  w.grad = Tensor::of({3, -1e-6, 1e6, 0}, {4}, DType::f64);
  adam.step(0.01);
  CHECK(max_abs_diff(w.value(), Tensor::of({-0.01, 0.01, -0.01, 0}, {4}, DType::f64)) < 1e-17);
}

TEST_CASE("adam: a constant gradient moves the value by lr in every step") {
  const std::vector<double> values = unit_steps("adam", 5);
  for (int t = 0; t < 5; ++t) CHECK(std::abs(values[t] - (t + 1)) < 1e-7);
}

TEST_CASE("adam: an entry whose gradient is zero throughout does not move") {
  Parameter w(Tensor::full({2}, 0.5));
  Adam adam({{"w", &w}});
  for (int t = 0; t < 3; ++t) {
    w.grad = Tensor::zeros({2});
    adam.step(1);
  }
  CHECK(max_abs_diff(w.value(), Tensor::full({2}, 0.5)) == 0);
}

TEST_CASE("adam: rejects options out of range") {
  const auto with = [](const AdamOptions& options) { return Adam({}, options); };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(with({.beta1 = 1.5}), "adam: expected beta1 in [0, 1), got 1.5", ValueError);
  CHECK_THROWS_WITH_AS(with({.beta1 = nan}), "adam: expected beta1 in [0, 1), got nan", ValueError);
  CHECK_THROWS_WITH_AS(with({.beta2 = 1}), "adam: expected beta2 in [0, 1), got 1", ValueError);
  CHECK_THROWS_WITH_AS(with({.eps = 0}), "adam: expected eps >= 1e-30, got 0", ValueError);
  CHECK_THROWS_WITH_AS(with({.decay = {.rate = -1}, .decoupled = true}),
                       "adamw: expected weight_decay in [0, inf), got -1", ValueError);
}

TEST_SUITE_END();
