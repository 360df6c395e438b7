#include <doctest/doctest.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/cross_entropy.hpp>
#include <isotape/ops/loss.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/cross_entropy");

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::array zero{0};

Tensor row(std::initializer_list<double> f) {
  return Tensor::of(f, {1, static_cast<std::int64_t>(f.size())}, DType::f64);
}

double tempered(const Tensor& f, double temperature, double offset) {
  return tempered_cross_entropy(f, zero, {.temperature = temperature, .offset = offset})
      .value()
      .item();
}

double annealed(const Tensor& f, const AnnealingOptions& options) {
  return logit_annealing(f, zero, options).value().item();
}

template <class Loss>
Tensor gradient(const Tensor& f, const Loss& loss) {
  Tape tape;
  const Var x = tape.leaf(f);
  tape.backward(loss(x));
  return x.grad();
}

}  // namespace

TEST_CASE("tempered_cross_entropy: is T log(1 + exp((f_1 - f_0 + o) / T)) for two classes") {
  for (const double temperature : {0.05, 0.25, 1.0, 4.0}) {
    for (const double offset : {0.0, 1.5}) {
      for (const double gap : {-2.0, 0.0, 0.3, 5.0}) {
        const double expected = temperature * std::log1p(std::exp((gap + offset) / temperature));
        CHECK(tempered(row({0.7, 0.7 + gap}), temperature, offset) ==
              doctest::Approx(expected).epsilon(1e-13));
      }
    }
  }
}

TEST_CASE("tempered_cross_entropy: with T = 1 and no offset is the softmax cross entropy") {
  Rng rng(1);
  const Tensor f = random_normal(rng, {1, 10}, 2, DType::f64);
  CHECK(tempered(f, 1, 0) ==
        doctest::Approx(softmax_cross_entropy(f, zero).value().item()).epsilon(1e-14));
}

TEST_CASE("tempered_cross_entropy: a cold one is the hinge of the runner-up") {
  CHECK(tempered(row({1, 0.5, -3}), 1e-4, 0.75) == doctest::Approx(0.25).epsilon(1e-12));
  CHECK(tempered(row({1, 0.5, -3}), 1e-4, 0.25) == 0);
}

TEST_CASE("logit_annealing: is T (1 - p)^beta (-log p), by hand for two classes") {
  const double gap = 0.4;
  const double p = 1 / (1 + std::exp((gap + 2) / 0.75));
  CHECK(annealed(row({0, gap}), {}) ==
        doctest::Approx(0.75 * std::pow(1 - p, 5) * -std::log(p)).epsilon(1e-13));
}

TEST_CASE("logit_annealing: without beta is the tempered cross entropy, also in its gradient") {
  Rng rng(2);
  const Tensor f = random_normal(rng, {1, 6}, 1, DType::f64);
  CHECK(annealed(f, {.temperature = 0.5, .offset = 1, .beta = 0}) ==
        doctest::Approx(tempered(f, 0.5, 1)).epsilon(1e-14));
  const Tensor a = gradient(f, [](const Var& x) {
    return logit_annealing(x, zero, {.temperature = 0.5, .offset = 1, .beta = 0});
  });
  const Tensor b = gradient(f, [](const Var& x) {
    return tempered_cross_entropy(x, zero, {.temperature = 0.5, .offset = 1});
  });
  CHECK(max_abs_diff(a, b) <= 1e-15);
}

TEST_CASE("logit_annealing: a row that is beyond doubt has no loss and no gradient, and no NaN") {
  for (const double beta : {0.0, 0.5, 5.0}) {
    const AnnealingOptions options{.temperature = 1, .offset = 0, .beta = beta};
    CHECK(annealed(row({1000, -1000}), options) == 0);
    const Tensor grad = gradient(row({1000, -1000}),
                                 [&](const Var& x) { return logit_annealing(x, zero, options); });
    CHECK(max_abs(grad) == 0);
  }
}

TEST_CASE("certificate_regularized: takes gamma / sqrt(2) times a margin > 0 off, and no other") {
  const double root = std::numbers::sqrt2;
  const auto value = [](const Tensor& f) {
    return certificate_regularized(f, zero, 0.5).value().item();
  };
  const auto plain = [](const Tensor& f) { return softmax_cross_entropy(f, zero).value().item(); };
  CHECK(value(row({1, 0.25, -4})) ==
        doctest::Approx(plain(row({1, 0.25, -4})) - 0.5 * 0.75 / root).epsilon(1e-14));
  CHECK(value(row({0, 0.25, -4})) == doctest::Approx(plain(row({0, 0.25, -4}))).epsilon(1e-14));
}

TEST_CASE("certificate_regularized: at a margin of 0 its slope is 0; of equals the first leads") {
  const auto slope = [](const Tensor& f, int at) {
    const auto regularized = [](const Var& x) { return certificate_regularized(x, zero, 1); };
    const auto plain = [](const Var& x) { return softmax_cross_entropy(x, zero); };
    return gradient(f, regularized).at(at) - gradient(f, plain).at(at);
  };
  for (int at = 0; at < 3; ++at) CHECK(std::abs(slope(row({1, 1, 0}), at)) <= 1e-15);
  CHECK(slope(row({2, 1, 1}), 0) == doctest::Approx(-1 / std::numbers::sqrt2));
  CHECK(slope(row({2, 1, 1}), 1) == doctest::Approx(1 / std::numbers::sqrt2));
  CHECK(std::abs(slope(row({2, 1, 1}), 2)) <= 1e-15);
}

TEST_CASE("cross entropies: the gradient is within the Lipschitz constants stated") {
  Rng rng(3);
  const double root = std::numbers::sqrt2;
  double worst[3] = {0, 0, 0};
  for (int trial = 0; trial < 400; ++trial) {
    const Tensor f = random_normal(rng, {1, 4}, 3, DType::f64);
    const Tensor grads[] = {
        gradient(f,
                 [](const Var& x) {
                   return tempered_cross_entropy(x, zero, {.temperature = 0.1, .offset = 1});
                 }),
        gradient(f, [](const Var& x) { return logit_annealing(x, zero, {.beta = 5}); }),
        gradient(f, [](const Var& x) { return certificate_regularized(x, zero, 2); })};
    for (int k = 0; k < 3; ++k) worst[k] = std::max(worst[k], frobenius_norm(grads[k]));
  }
  CHECK(worst[0] <= root * (1 + 1e-14));
  CHECK(worst[0] >= 0.99 * root);
  CHECK(worst[1] <= 6 * root);
  CHECK(worst[1] > root);
  CHECK(worst[2] <= root + 2);
  CHECK(worst[2] > root);
}

TEST_CASE("cross entropies: refuse what is out of range") {
  const Tensor f = row({1, 2});
  CHECK_THROWS_WITH_AS(tempered(f, 0, 0),
                       "tempered_cross_entropy: expected a finite temperature > 0, got 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(tempered(f, 1, -1),
                       "tempered_cross_entropy: expected a finite offset >= 0, got -1", ValueError);
  CHECK_THROWS_WITH_AS(annealed(f, {.temperature = infinity}),
                       "logit_annealing: expected a finite temperature > 0, got inf", ValueError);
  CHECK_THROWS_WITH_AS(annealed(f, {.beta = -2}),
                       "logit_annealing: expected a finite beta >= 0, got -2", ValueError);
  CHECK_THROWS_WITH_AS(certificate_regularized(f, zero, -0.5),
                       "certificate_regularized: expected a finite gamma >= 0, got -0.5",
                       ValueError);
  CHECK_THROWS_WITH_AS(certificate_regularized(row({1}), zero, 1),
                       "certificate_regularized: expected two classes or more, got logits of shape "
                       "[1, 1]",
                       ShapeError);
}

TEST_SUITE_END();
