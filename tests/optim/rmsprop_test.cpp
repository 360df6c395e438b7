#include <doctest/doctest.h>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/optim/rmsprop.hpp>

#include "trajectory.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("optim/rmsprop");

namespace {

double plain(double w, const std::vector<double>& gradients, double lr, const RmspropOptions& o) {
  double s = 0;
  double v = 0;
  for (double g : gradients) {
    g += o.decay.rate * w;
    s = o.alpha * s + (1 - o.alpha) * g * g;
    v = o.momentum * v + g / (std::sqrt(s) + o.eps);
    w -= lr * v;
  }
  return w;
}

}  // namespace

TEST_CASE("rmsprop: equals the plain recursion, with momentum and decay") {
  const RmspropOptions variants[] = {
      {},
      {.alpha = 0.5, .eps = 0.1},
      {.momentum = 0.9},
      {.momentum = 0.5, .decay = {.rate = 0.3}},
      {.decay = {.rate = 0.3}},
  };
  for (const RmspropOptions& options : variants) {
    CAPTURE(options.momentum);
    CAPTURE(options.decay.rate);
    const auto make = [&](const ParameterList& list) {
      return std::make_unique<Rmsprop>(list, options);
    };
    const auto rule = [&](double w, const std::vector<double>& g) {
      return plain(w, g, 0.01, options);
    };
    CHECK(deviation_from(make, 0.01, rule, DType::f64) < 1e-14);
    CHECK(deviation_from(make, 0.01, rule, DType::f32) < 2e-6);
  }
}

TEST_CASE(
    "rmsprop: the first step of the defaults is 10 lr, for s starts at 0 without correction") {
  CHECK(unit_steps("rmsprop", 1)[0] == doctest::Approx(10).epsilon(1e-6));
}

TEST_CASE("rmsprop: rejects options out of range") {
  const auto with = [](const RmspropOptions& options) { return Rmsprop({}, options); };
  CHECK_THROWS_WITH_AS(with({.alpha = 1}), "rmsprop: expected alpha in [0, 1), got 1", ValueError);
  CHECK_THROWS_WITH_AS(with({.eps = -1}), "rmsprop: expected eps >= 1e-30, got -1", ValueError);
  CHECK_THROWS_WITH_AS(with({.momentum = 2}), "rmsprop: expected momentum in [0, 1), got 2",
                       ValueError);
}

TEST_SUITE_END();
