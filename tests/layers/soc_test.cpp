#include <doctest/doctest.h>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/soc.hpp>
#include <isotape/layers/spectrum.hpp>
#include <isotape/ops/adjoint_kernel.hpp>
#include <isotape/ops/elementwise.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/soc");

namespace {

const Square three{.c_in = 3, .c_out = 3};

std::vector<double> sigma_of(const Module& module, const Shape& image) {
  const auto plain = module.materialize(DType::f64);
  const auto f = [&](const Var& x) { return plain->forward(x); };
  return singular_values(dense_operator(f, {1, image[0], image[1], image[2]}, DType::f64));
}

}  // namespace

TEST_CASE("soc: orthogonal within 1e-5 with 12 terms, under zero padding too") {
  for (const PadMode padding : {PadMode::zero, PadMode::circular}) {
    Rng rng(1);
    const Soc soc(three, {.padding = padding}, rng);
    const auto sigma = sigma_of(soc, {4, 5, 3});
    CHECK(std::abs(sigma.front() - 1) < 1e-5);
    CHECK(std::abs(sigma.back() - 1) < 1e-5);
    CHECK(soc.lipschitz_bound().value >= sigma.front());
    CHECK(soc.lipschitz_bound().value < 1 + 1e-5);
    CHECK(soc.gnp() == NormPreservation::both);
  }
}

TEST_CASE("soc: few terms are far from orthogonal, and the bound says how far") {
  Rng rng(2);
  const Soc soc(three, {.terms = 3}, rng);
  const auto sigma = sigma_of(soc, {4, 4, 3});
  CHECK(sigma.front() > 1 + 1e-3);
  CHECK(soc.lipschitz_bound().value >= sigma.front());
  CHECK(soc.lipschitz_bound().value < 2.2);
  CHECK(soc.residual().value == soc.lipschitz_bound().value - 1);
}

TEST_CASE("soc: the generator is skew to the last bit, of proved norm 1.9 but for the estimate") {
  Rng rng(3);
  const Soc soc({.c_in = 8, .c_out = 8}, {}, rng);
  const Tensor l = soc.folded_generator();
  CHECK(max_abs_diff(adjoint_kernel(l).value(), scale(l, -1).value()) == 0);
  CHECK(conv_norm_bound(l) < 1.95);
  CHECK(max_abs(l) > 0.01);
}

TEST_CASE("soc: train_terms apply where weights are recorded, and nowhere else") {
  Rng rng(4);
  const Soc soc(three, {.terms = 12, .train_terms = 2}, rng);
  Rng same(4);
  const Soc twelve(three, {.terms = 12}, same);
  Rng again(4);
  const Soc two(three, {.terms = 2}, again);
  const Tensor x = random_normal(rng, {1, 4, 4, 3});
  CHECK(max_abs_diff(soc.forward(x).value(), twelve.forward(x).value()) == 0);
  const auto recorded = [&](const Soc& module) {
    Tape tape;
    return module.forward(x).value();
  };
  CHECK(max_abs_diff(recorded(soc), recorded(two)) == 0);
  CHECK(max_abs_diff(recorded(soc), recorded(twelve)) > 1e-3);
  const ConstantParameters constants;
  CHECK(max_abs_diff(recorded(soc), recorded(twelve)) < 1e-6);
}

TEST_CASE("soc: a generator that is not skew raises the bound by its symmetric part") {
  Rng rng(5);
  const auto plain = Soc(three, {}, rng).materialize(DType::f64);
  const Bound before = plain->lipschitz_bound();
  Parameter& l = *plain->parameters().front().parameter;
  Tensor bent = l.value().clone();
  // 0.1 of the identity: exp(L + 0.1 I) = exp(0.1) exp(L).
  for (std::int64_t c = 0; c < 3; ++c) bent.write<double>()[((c * 3 + 1) * 3 + 1) * 3 + c] += 0.1;
  l.write() = bent;
  const double bound = plain->lipschitz_bound().value;
  CHECK(bound >= sigma_of(*plain, {4, 4, 3}).front());
  CHECK(bound == doctest::Approx(std::exp(0.1) * before.value).epsilon(1e-4));
}

TEST_CASE("soc: evaluation makes its generator once per version") {
  Rng rng(7);
  Soc soc(three, {}, rng);
  const Tensor x = random_normal(rng, {1, 4, 4, 3});
  soc.forward(x);
  const WeightCounters before = weight_counters();
  const Tensor generator = soc.folded_generator();
  soc.forward(x);
  CHECK(weight_counters().folded == before.folded);
  CHECK(soc.folded_generator().shares_storage_with(generator));
  soc.parameters().front().parameter->write();
  soc.forward(x);
  CHECK(weight_counters().folded == before.folded + 1);
}

TEST_CASE("soc: rejects even kernels and extents below 1") {
  Rng rng(6);
  CHECK_THROWS_WITH_AS(Soc(three, {.kernel = 2}, rng),
                       "soc: expected terms >= 1 and an odd kernel, got 3 -> 3, kernel 2, terms 12",
                       ValueError);
}

TEST_SUITE_END();
