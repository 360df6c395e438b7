#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/core/lipcheck.hpp>
#include <isotape/ops/bjorck.hpp>
#include <isotape/ops/spectral_bound.hpp>

#include "spectrum.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("ops/spectral_bound");

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Named {
  const char* name;
  double (*bound)(const Tensor&);
};
constexpr Named bounds[] = {{"frobenius_bound", frobenius_bound},
                            {"row_column_bound", row_column_bound},
                            {"gram_bound", gram_bound},
                            {"near_isometry_bound", near_isometry_bound},
                            {"spectral_norm_bound", spectral_norm_bound}};

// None of the bounds lies below sigma, known up to a relative error.
void check_all(const Tensor& w, double sigma, double error = 0) {
  for (const Named& named : bounds) {
    CAPTURE(named.name);
    CAPTURE(w.shape());
    CHECK(named.bound(w) >= sigma * (1 - error));
  }
}

// The euclidean norm of the only column, to 64 bits.
long double column_norm(const Tensor& w) {
  long double sum = 0;
  for (std::int64_t i = 0; i < w.size(); ++i) {
    sum += static_cast<long double>(w.at(i)) * static_cast<long double>(w.at(i));
  }
  return std::sqrt(sum);
}

}  // namespace

TEST_CASE("bounds: never below the largest singular value of random matrices") {
  Rng rng(1);
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (int trial = 0; trial < 200; ++trial) {
      const auto m = static_cast<std::int64_t>(1 + rng.below(24));
      const auto n = static_cast<std::int64_t>(1 + rng.below(24));
      const double scale = std::exp2(40 * rng.uniform() - 20);
      const Tensor w = random_normal(rng, {m, n}, scale, dtype);
      check_all(w, singular_values(w)[0], 1e-13);
      // Few entries, and one large row.
      Tensor odd = Tensor::zeros({m, n}, DType::f64);
      for (int k = 0; k < 3; ++k) {
        odd.write<double>()[rng.below(static_cast<std::uint64_t>(m * n))] = rng.normal();
      }
      for (std::int64_t j = 0; j < n; ++j) odd.write<double>()[j] += trial % 2;
      odd = odd.to(dtype);
      check_all(odd, singular_values(odd)[0], 1e-13);
    }
  }
}

TEST_CASE("bounds: not one rounding is missing where the norm is known") {
  // The norm of a number is itself; of a column, known to 64 bits; of a scaled permutation, exact.
  Rng rng(2);
  for (int trial = 0; trial < 3000; ++trial) {
    const double x = rng.normal() * std::exp2(static_cast<double>(rng.below(60)) - 30);
    check_all(Tensor::of({x}, {1, 1}, DType::f64), std::abs(x));
    check_all(Tensor::of({0, x, -x, 0}, {2, 2}, DType::f64), std::abs(x));
    const auto n = static_cast<std::int64_t>(1 + rng.below(9));
    const Tensor column = random_normal(rng, {n, 1}, 1 / std::sqrt(n), DType::f64);
    const long double norm = column_norm(column);
    for (const Named& named : bounds) {
      CAPTURE(named.name);
      CHECK(static_cast<long double>(named.bound(column)) >= norm * (1 - 0x1p-62L));
      CHECK(static_cast<long double>(named.bound(column.reshaped({1, n}))) >=
            norm * (1 - 0x1p-62L));
    }
  }
}

TEST_CASE("bounds: the rounding of long sums is counted") {
  // Equal terms: their roundings add up instead of averaging out.
  Rng rng(5);
  for (int trial = 0; trial < 40; ++trial) {
    const double x = 0.5 + rng.uniform();
    const Tensor column = Tensor::full({5000, 1}, x, DType::f64);
    const long double norm = column_norm(column);
    for (const Named& named : bounds) {
      CAPTURE(named.name);
      CHECK(static_cast<long double>(named.bound(column)) >= norm * (1 - 0x1p-52L * 1e-3L));
      CHECK(static_cast<long double>(named.bound(column.reshaped({1, 5000}))) >=
            norm * (1 - 0x1p-52L * 1e-3L));
    }
  }
}

TEST_CASE("bounds: next to 1 in both directions") {
  for (const double x : {1 - 0x1p-53, 1.0, 1 + 0x1p-52, 1 + 0x1p-51, 1 + 0x1p-26}) {
    check_all(Tensor::of({x}, {1, 1}, DType::f64), x);
    Tensor w = Tensor::eye(40, DType::f64);
    w.write<double>()[std::int64_t{41} * 7] = x;
    check_all(w, std::max(x, 1.0));
    CHECK(spectral_norm_bound(w) < std::max(x, 1.0) + 1e-12);
  }
}

TEST_CASE("bounds: zero, empty, huge, tiny and non-finite matrices") {
  for (const Named& named : bounds) {
    CAPTURE(named.name);
    CHECK(named.bound(Tensor::zeros({4, 3})) == 0);
    CHECK(named.bound(Tensor::zeros({0, 3})) == 0);
    CHECK(std::isnan(named.bound(Tensor::of({1, std::nan(""), 0, 0}, {2, 2}, DType::f64))));
    CHECK(std::isnan(named.bound(Tensor::of({infinity, std::nan("")}, {2, 1}))));
    CHECK(named.bound(Tensor::of({1, -infinity, 0, 0}, {2, 2})) == infinity);
    CHECK_THROWS_WITH_AS(named.bound(Tensor::zeros({3})),
                         doctest::Contains(": expected a matrix [m, n], got [3]"), ShapeError);
  }
  for (const double x : {1e-323, 3e-310, 1e-200, 1e154, 1e200, 8e307}) {
    CAPTURE(x);
    check_all(Tensor::full({2, 2}, x, DType::f64), 2 * x);
    check_all(Tensor::of({x}, {1, 1}, DType::f64), x);
    check_all(Tensor::of({x, 1}, {1, 2}, DType::f64), std::hypot(x, 1.0));
    CHECK(spectral_norm_bound(Tensor::of({x}, {1, 1}, DType::f64)) <= std::max(1.0001 * x, 2e-323));
  }
  check_all(Tensor::full({2, 2}, std::numeric_limits<double>::max(), DType::f64), infinity);
  // sqrt 2 of the smallest number is more than one of them.
  check_all(Tensor::full({2, 1}, 5e-324, DType::f64), 1e-323);
}

TEST_CASE("bounds: tight for orthonormal f32 matrices") {
  Rng rng(3);
  for (const Shape& shape : {Shape{64, 64}, Shape{200, 40}, Shape{40, 200}, Shape{1, 9}}) {
    CAPTURE(shape);
    const Tensor q = bjorck(random_normal(rng, shape)).value();
    const std::vector<double> sigma = singular_values(q);
    const double bound = spectral_norm_bound(q);
    check_all(q, sigma[0], 1e-15);
    CHECK(bound - 1 < 1.3 * std::abs(sigma[0] - 1) + 1e-7);
    const double defect = isometry_defect_bound(q);
    CHECK(defect < 5e-7);
    CHECK(std::sqrt(1 - defect) <= sigma.back());
    CHECK(std::sqrt(1 + defect) >= sigma.front());
  }
}

TEST_CASE("bounds: each is sharp where it should be") {
  Rng rng(4);
  const Tensor w = with_spectrum(rng, 30, 30, geometric(30, 1e3));
  CHECK(gram_bound(w) < 1.02);
  CHECK(gram_bound(Tensor::eye(32, DType::f64)) < std::pow(32, 1.0 / 128) + 1e-12);
  CHECK(row_column_bound(Tensor::full({6, 24}, 0.5)) == doctest::Approx(6));
  CHECK(frobenius_bound(Tensor::full({6, 24}, 0.5)) == doctest::Approx(6));
  CHECK(isometry_defect_bound(Tensor::zeros({3, 3})) == 1);
  CHECK(isometry_defect_bound(Tensor::zeros({3, 0})) == 0);
  CHECK(isometry_defect_bound(Tensor::of({0, 2}, {2, 1})) == doctest::Approx(3));
}

TEST_SUITE_END();
