#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/optim/aggmo.hpp>

#include "trajectory.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("optim/aggmo");

namespace {

double plain(double w, const std::vector<double>& gradients, double lr, const AggmoOptions& o) {
  std::vector<double> v(o.betas.size());
  for (double g : gradients) {
    g += o.decay.rate * w;
    double sum = 0;
    for (std::size_t k = 0; k < v.size(); ++k) {
      v[k] = o.betas[k] * v[k] + g;
      sum += v[k];
    }
    w -= lr / static_cast<double>(v.size()) * sum;
  }
  return w;
}

}  // namespace

TEST_CASE("aggmo: equals the plain recursion for any betas, with decay") {
  const AggmoOptions variants[] = {
      {}, {.betas = {0.5}}, {.betas = {0, 0.9, 0.99, 0.999}, .decay = {.rate = 0.3}}};
  for (const AggmoOptions& options : variants) {
    CAPTURE(options.betas.size());
    const auto make = [&](const ParameterList& list) {
      return std::make_unique<Aggmo>(list, options);
    };
    const auto rule = [&](double w, const std::vector<double>& g) {
      return plain(w, g, 0.1, options);
    };
    CHECK(deviation_from(make, 0.1, rule, DType::f64) < 1e-14);
    CHECK(deviation_from(make, 0.1, rule, DType::f32) < 2e-6);
  }
}

TEST_CASE("aggmo: the first step is that of gradient descent, the second (1 + 1.9 + 1.99) / 3") {
  const std::vector<double> values = unit_steps("aggmo", 2);
  CHECK(values[0] == doctest::Approx(1));
  CHECK(values[1] == doctest::Approx(1 + 4.89 / 3));
}

TEST_CASE("aggmo: one beta is momentum") {
  const auto one = unit_steps("aggmo:betas=0.9", 4);
  const auto sgd = unit_steps("sgd:momentum=0.9", 4);
  for (int t = 0; t < 4; ++t) CHECK(one[t] == doctest::Approx(sgd[t]));
}

TEST_CASE("aggmo: rejects options out of range") {
  const auto with = [](const AggmoOptions& options) { return Aggmo({}, options); };
  CHECK_THROWS_WITH_AS(with({.betas = {0, 1}}), "aggmo: expected betas in [0, 1), got 1",
                       ValueError);
  CHECK_THROWS_WITH_AS(with({.betas = {}}), "aggmo: expected one to 8 betas, got 0", ValueError);
  CHECK_THROWS_WITH_AS(with({.betas = std::vector<double>(9)}),
                       "aggmo: expected one to 8 betas, got 9", ValueError);
}

TEST_SUITE_END();
