#include <doctest/doctest.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/hkr.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/hkr");

namespace {

using Labels = std::vector<std::int32_t>;

// One class against the rest, read off the definition: f is the class's column.
double plain(const std::vector<double>& f, const std::vector<bool>& is_in, double lambda,
             double margin) {
  double in = 0;
  double out = 0;
  double hinge = 0;
  const auto inside = static_cast<double>(std::count(is_in.begin(), is_in.end(), true));
  const auto all = static_cast<double>(f.size());
  for (std::size_t i = 0; i < f.size(); ++i) {
    (is_in[i] ? in : out) += f[i] / (is_in[i] ? inside : all - inside);
    hinge += std::max(0.0, margin - (is_in[i] ? f[i] : -f[i])) / all;
  }
  return out - in + lambda * hinge;
}

double plain(const Tensor& f, const Labels& labels, double lambda, double margin) {
  double mean = 0;
  for (std::int64_t c = 0; c < f.dim(1); ++c) {
    std::vector<double> column;
    std::vector<bool> is_in;
    for (std::int64_t i = 0; i < f.dim(0); ++i) {
      column.push_back(f.at(i * f.dim(1) + c));
      is_in.push_back(labels[static_cast<std::size_t>(i)] == c);
    }
    mean += plain(column, is_in, lambda, margin) / double(f.dim(1));
  }
  return mean;
}

Tensor column(std::initializer_list<double> f) {
  return Tensor::of(f, {static_cast<std::int64_t>(f.size()), 1}, DType::f64);
}

}  // namespace

TEST_CASE("kantorovich_rubinstein: is minus the Wasserstein distance of points 2 apart") {
  // Class 1 at x = 1, the rest at x = -1; f(x) = x is 1-Lipschitz and optimal.
  const Labels labels{1, 0, 1, 0, 0};
  CHECK(kantorovich_rubinstein(column({1, -1, 1, -1, -1}), labels).value().item() == -2);
  CHECK(kantorovich_rubinstein(column({-1, 1, -1, 1, 1}), labels).value().item() == 2);
}

TEST_CASE("hkr: is that of the definition, for one column and for one class against the rest") {
  Rng rng(1);
  const Labels labels{2, 0, 1, 0, 0, 2, 2};
  const Tensor f = random_normal(rng, {7, 3}, 1, DType::f64);
  CHECK(kantorovich_rubinstein(f, labels).value().item() ==
        doctest::Approx(plain(f, labels, 0, 0)).epsilon(1e-14));
  CHECK(hkr(f, labels, {.lambda = 4, .margin = 0.3}).value().item() ==
        doctest::Approx(plain(f, labels, 4, 0.3)).epsilon(1e-14));

  const Labels two{1, 0, 0};
  CHECK(hkr(column({0.5, -2, 0.25}), two, {.lambda = 2, .margin = 1}).value().item() ==
        doctest::Approx(-0.875 - 0.5 + 2 * (0.5 + 0 + 1.25) / 3).epsilon(1e-15));
}

TEST_CASE("hkr: a binary score has a gradient") {
  const Labels labels{1, 0, 0, 1};
  const auto f = [&](const Vars& in) { return hkr(in[0], labels, {.lambda = 2, .margin = 0.4}); };
  Rng rng(2);
  CHECK(gradcheck("hkr", f, {random_normal(rng, {4, 1}, 1, DType::f64)}));
}

TEST_CASE("hkr: a class without rows, or with all of them, leaves a mean out") {
  const Labels all{0, 0};
  const Tensor f = Tensor::of({1, 5, 2, 7}, {2, 2}, DType::f64);
  // Class 0 has all rows: -1.5; class 1 none: + 6; each over two classes.
  CHECK(kantorovich_rubinstein(f, all).value().item() == doctest::Approx(2.25).epsilon(1e-15));
  Tape tape;
  const Var leaf = tape.leaf(f);
  tape.backward(hkr(leaf, all, {}));
  CHECK(all_finite(leaf.grad()));
}

TEST_CASE("hkr: the slope at the margin is 0") {
  const Labels labels{1};
  Tape tape;
  const Var f = tape.leaf(column({0.5}));
  tape.backward(hkr(f, labels, {.lambda = 10, .margin = 0.5}));
  CHECK(f.grad().item() == -1);
}

TEST_CASE("soft_hkr: of two classes is the sum of both hinges and scores") {
  const Labels labels{0};
  const Tensor f = Tensor::of({0.2, 0.3}, {1, 2}, DType::f64);
  const SoftHkrOptions options{.lambda = 5, .margin = 0.6, .temperature = 0.1};
  CHECK(soft_hkr(f, labels, options).value().item() ==
        doctest::Approx(-0.2 + 5 * 0.4 + 0.3 + 5 * 0.9).epsilon(1e-15));
}

TEST_CASE("soft_hkr: a cold one sees the runner-up only, a hot one all others alike") {
  const Labels labels{1};
  const Tensor f = Tensor::of({0.5, 2, -1, 0.1}, {1, 4}, DType::f64);
  const auto value = [&](double temperature) {
    return soft_hkr(f, labels, {.lambda = 0, .margin = 0, .temperature = temperature})
        .value()
        .item();
  };
  CHECK(value(1e-4) == doctest::Approx(0.5 - 2).epsilon(1e-14));
  CHECK(value(1e9) == doctest::Approx((0.5 - 1 + 0.1) / 3 - 2).epsilon(1e-8));
}

TEST_CASE("hkr: the gradient's l1 norm is within the Lipschitz constant stated, and reaches it") {
  Rng rng(3);
  const Labels labels{0, 2, 1, 1, 0, 2};
  const auto l1 = [&](const Tensor& scores, double lambda) {
    Tape tape;
    const Var f = tape.leaf(scores);
    tape.backward(hkr(f, labels, {.lambda = lambda, .margin = 1}));
    double sum = 0;
    for (const double g : f.grad().values<double>()) sum += std::abs(g);
    return sum;
  };
  CHECK(l1(Tensor::zeros({6, 3}, DType::f64), 3) == doctest::Approx(5).epsilon(1e-14));
  CHECK(l1(random_normal(rng, {6, 3}, 1, DType::f64), 3) <= 5 + 1e-14);
  CHECK(l1(random_normal(rng, {6, 3}, 1, DType::f64), 0) == doctest::Approx(2).epsilon(1e-14));
}

TEST_CASE("hkr: refuses what is out of range") {
  const Labels labels{0};
  const Tensor one({1, 1});
  const Tensor two({1, 2});
  CHECK_THROWS_WITH_AS(hkr(two, labels, {.lambda = -1}),
                       "hkr: expected a finite lambda >= 0, got -1", ValueError);
  CHECK_THROWS_WITH_AS(hkr(two, labels, {.margin = std::numeric_limits<double>::infinity()}),
                       "hkr: expected a finite margin >= 0, got inf", ValueError);
  CHECK_THROWS_WITH_AS(soft_hkr(two, labels, {.temperature = 0}),
                       "soft_hkr: expected a finite temperature > 0, got 0", ValueError);
  CHECK_THROWS_WITH_AS(soft_hkr(one, labels, {}),
                       "soft_hkr: expected two classes or more, got scores of shape [1, 1]",
                       ShapeError);
  const Labels third{2};
  CHECK_THROWS_WITH_AS(kantorovich_rubinstein(one, third),
                       "kantorovich_rubinstein: expected labels in 0..1, got 2 at row 0",
                       ValueError);
}

TEST_SUITE_END();
