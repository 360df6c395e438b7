#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/optim/sgd.hpp>

#include "trajectory.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("optim/sgd");

namespace {

double plain(double w, const std::vector<double>& gradients, double lr, const SgdOptions& o) {
  double v = 0;
  for (double g : gradients) {
    g += o.decay.rate * w;
    v = o.momentum * v + g;
    w -= lr * (o.nesterov ? g + o.momentum * v : v);
  }
  return w;
}

}  // namespace

TEST_CASE("sgd: equals the plain recursion: bare, with momentum, Nesterov's, with decay") {
  const SgdOptions variants[] = {
      {},
      {.momentum = 0.9},
      {.momentum = 0.9, .nesterov = true},
      {.decay = {.rate = 0.3}},
      {.momentum = 0.5, .nesterov = true, .decay = {.rate = 0.3}},
  };
  for (const SgdOptions& options : variants) {
    CAPTURE(options.momentum);
    CAPTURE(options.nesterov);
    const auto make = [&](const ParameterList& list) {
      return std::make_unique<Sgd>(list, options);
    };
    const auto rule = [&](double w, const std::vector<double>& g) {
      return plain(w, g, 0.1, options);
    };
    CHECK(deviation_from(make, 0.1, rule, DType::f64) < 1e-14);
    CHECK(deviation_from(make, 0.1, rule, DType::f32) < 2e-6);
  }
}

TEST_CASE("sgd: momentum 0.9 moves by 1, 1.9, 2.71 on a constant gradient, Nesterov's one ahead") {
  const std::vector<double> heavy = unit_steps("sgd:momentum=0.9", 3);
  CHECK(heavy[0] == doctest::Approx(1));
  CHECK(heavy[1] == doctest::Approx(1 + 1.9));
  CHECK(heavy[2] == doctest::Approx(1 + 1.9 + 2.71));
  const auto ahead = unit_steps("sgd:momentum=0.9,nesterov=1", 3);
  CHECK(ahead[0] == doctest::Approx(1.9));
  CHECK(ahead[1] == doctest::Approx(1.9 + 2.71));
  CHECK(ahead[2] == doctest::Approx(1.9 + 2.71 + 3.439));
}

TEST_CASE("sgd: without momentum it has no state") {
  Parameter w(Tensor::zeros({3}));
  BufferList buffers;
  Sgd({{"w", &w}}).collect("", buffers);
  CHECK(buffers.empty());
}

TEST_CASE("sgd: rejects options out of range") {
  const auto with = [](const SgdOptions& options) { return Sgd({}, options); };
  CHECK_THROWS_WITH_AS(with({.momentum = 1}), "sgd: expected momentum in [0, 1), got 1",
                       ValueError);
  CHECK_THROWS_WITH_AS(with({.momentum = -0.1}), "sgd: expected momentum in [0, 1), got -0.1",
                       ValueError);
  CHECK_THROWS_WITH_AS(with({.nesterov = true}),
                       "sgd: expected a momentum > 0 with nesterov, got 0", ValueError);
}

TEST_SUITE_END();
