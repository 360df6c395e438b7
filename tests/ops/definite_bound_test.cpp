#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/definite_bound.hpp>
#include <isotape/ops/matmul.hpp>

#include "support/exact_svd.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("ops/definite_bound");

namespace {

// A symmetric matrix q diag(values) q^T, rounded; q a random orthogonal matrix.
Tensor symmetric(const std::vector<double>& values, std::uint64_t seed) {
  Rng rng(seed);
  const auto n = static_cast<std::int64_t>(values.size());
  const Tensor q = random_orthogonal(rng, {n, n}, 1, DType::f64);
  Tensor scaled = q.clone();
  for (std::int64_t i = 0; i < n * n; ++i) scaled.write<double>()[i] *= values[i % n];
  Tensor a = matmul(scaled, q, {.trans_b = true}).value();
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < i; ++j) a.write<double>()[i * n + j] = a.at(j * n + i);
  }
  return a;
}

// All eigenvalues of a symmetric matrix, descending: singular values of what a shift makes
// positive.
std::vector<Exact> exact_eigenvalues(const Tensor& a, double shift) {
  const std::int64_t n = a.dim(0);
  ExactMatrix columns(static_cast<std::size_t>(n));
  for (std::int64_t j = 0; j < n; ++j) {
    for (std::int64_t i = 0; i < n; ++i) {
      columns[j].emplace_back(Exact(a.at(i * n + j)) + (i == j ? shift : 0));
    }
  }
  std::vector<Exact> values = exact_singular_values(std::move(columns));
  for (Exact& value : values) value -= shift;
  return values;
}

}  // namespace

TEST_CASE("indefiniteness_bound: never below minus the least eigenvalue, and close to zero") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const Tensor a = symmetric({3, 2, 1, 1e-6}, seed);
    CHECK(indefiniteness_bound(a) > 0);
    CHECK(indefiniteness_bound(a) < 1e-13);
  }
  // Indefinite by a little: either Cholesky's method fails, or the residual covers it.
  for (const double least : {-1.0, -1e-3, -1e-9, -1e-15, -1e-17}) {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
      const Tensor a = symmetric({2, 1, 0.5, least}, seed);
      CHECK(indefiniteness_bound(a) >= -exact_eigenvalues(a, 4).back());
    }
  }
}

TEST_CASE("indefiniteness_bound: no proof for what is not finite or not definite") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double bad : {infinity, nan, -1.0}) {
    CHECK(indefiniteness_bound(Tensor::full({1, 1}, bad, DType::f64)) == infinity);
    Tensor a = symmetric({2, 1, 1}, 3);
    a.write<double>()[4] = bad;
    CHECK(indefiniteness_bound(a) == infinity);
  }
  CHECK_THROWS_WITH_AS(indefiniteness_bound(Tensor({2, 3}, DType::f64)),
                       "indefiniteness_bound: expected a square matrix, got [2, 3]", ShapeError);
}

TEST_CASE("eigenvalue_enclosure: holds the eigenvalues of 100 digits, wherever the estimates are") {
  Rng rng(7);
  for (int trial = 0; trial < 60; ++trial) {
    const auto n = static_cast<std::int64_t>(1 + rng.below(6));
    std::vector<double> values(static_cast<std::size_t>(n));
    for (double& value : values) value = 2 * rng.uniform() - 1;
    const Tensor a = symmetric(values, 100 + trial);
    const std::vector<Exact> exact = exact_eigenvalues(a, 2);
    const auto least = static_cast<double>(exact.back());
    const auto largest = static_cast<double>(exact.front());
    const Enclosure tight = eigenvalue_enclosure(a, least, largest);
    CHECK(tight.lower <= exact.back());
    CHECK(tight.upper >= exact.front());
    CHECK(tight.lower >= least - 1e-12);
    CHECK(tight.upper <= largest + 1e-12);
    // Estimates inside the spectrum prove nothing, or something true.
    const Enclosure wrong = eigenvalue_enclosure(a, least + 0.1, largest - 0.1);
    CHECK(wrong.lower <= exact.back());
    CHECK(wrong.upper >= exact.front());
    const Enclosure outside = eigenvalue_enclosure(a, least - 1, largest + 1);
    CHECK(outside.lower <= exact.back());
    CHECK(outside.upper >= exact.front());
  }
}

TEST_SUITE_END();
