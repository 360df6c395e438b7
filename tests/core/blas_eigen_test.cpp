#include <doctest/doctest.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include "plain_matrix.hpp"

using namespace isotape;
using namespace plain;

TEST_SUITE_BEGIN("core/blas_eigen");

TEST_CASE_TEMPLATE("symmetric_eigen: A = a^T diag(values) a, ascending", T, float, double) {
  // From 128 on by its parts; blocks of 64 reflectors, the last one whole or of any size.
  for (const std::int64_t n : {1, 2, 9, 40, 127, 128, 129, 130, 193, 200}) {
    CAPTURE(n);
    const auto b = random_matrix<T>(n, n, 6);
    auto a = product(false, true, n, n, n, b, b);
    const auto original = a;
    Matrix<T> values(static_cast<std::size_t>(n));
    blas::symmetric_eigen<T>(n, a.data(), values.data());
    const double scale = tolerance<T> * std::max<double>(1, values.back());
    CHECK(std::is_sorted(values.begin(), values.end()));
    CHECK(distance(product(false, true, n, n, n, a, a), identity<T>(n)) <= 10 * tolerance<T>);
    CHECK(distance(product(true, false, n, n, n, a, scale_rows(values, a)), original) <= 5 * scale);
  }
  blas::symmetric_eigen<T>(0, nullptr, nullptr);
}

TEST_CASE_TEMPLATE("svd: a = u diag(s) vt, descending, tall and wide", T, float, double) {
  for (const Extents& extents : {Extents{5, 5}, {8, 3}, {3, 8}, {1, 4}, {4, 1}}) {
    const std::int64_t m = extents[0];
    const std::int64_t n = extents[1];
    CAPTURE(m);
    CAPTURE(n);
    const std::int64_t r = std::min(m, n);
    const auto original = random_matrix<T>(m, n, 7);
    auto a = original;
    Matrix<T> s(static_cast<std::size_t>(r));
    Matrix<T> u(static_cast<std::size_t>(m * r));
    Matrix<T> vt(static_cast<std::size_t>(r * n));
    blas::svd<T>(m, n, a.data(), s.data(), u.data(), vt.data());
    CHECK(std::is_sorted(s.rbegin(), s.rend()));
    CHECK(s.back() >= 0);
    CHECK(distance(product(true, false, r, r, m, u, u), identity<T>(r)) <= tolerance<T>);
    CHECK(distance(product(false, true, r, r, n, vt, vt), identity<T>(r)) <= tolerance<T>);
    CHECK(distance(product(false, false, m, n, r, u, scale_rows(s, vt)), original) <=
          10 * tolerance<T>);
    a = original;
    Matrix<T> values(static_cast<std::size_t>(r));
    blas::singular_values<T>(m, n, a.data(), values.data());
    CHECK(distance(values, s) <= 10 * tolerance<T>);
  }
  blas::svd<T>(0, 4, nullptr, nullptr, nullptr, nullptr);
}

TEST_CASE("svd: rejects what is not finite") {
  Matrix<double> a = random_matrix<double>(4, 3, 8);
  a[5] = std::numeric_limits<double>::quiet_NaN();
  Matrix<double> s(3);
  CHECK_THROWS_AS(blas::singular_values<double>(4, 3, a.data(), s.data()), NumericError);
}

TEST_CASE("symmetric_eigen: large and tiny matrices, repeated and zero eigenvalues") {
  constexpr std::int64_t n = 150;
  const auto b = random_matrix<double>(n, n, 9);
  for (const double size : {1e-170, 1e-120, 1.0, 1e120, 1e170}) {
    CAPTURE(size);
    auto a = product(false, true, n, n, n, b, b);
    for (double& entry : a) entry *= size;
    const auto original = a;
    Matrix<double> values(n);
    blas::symmetric_eigen<double>(n, a.data(), values.data());
    CHECK(distance(product(false, true, n, n, n, a, a), identity<double>(n)) <= 1e-12);
    auto error = product(true, false, n, n, n, a, scale_rows(values, a));
    for (double& entry : error) entry /= values.back();
    auto expected = original;
    for (double& entry : expected) entry /= values.back();
    CHECK(distance(error, expected) <= 1e-12);
  }
  // 1 in 50 places, 0 in the others, in a basis of its own.
  auto q = product(false, true, n, n, n, b, b);
  Matrix<double> values(n);
  blas::symmetric_eigen<double>(n, q.data(), values.data());
  Matrix<double> d(n, 0.0);
  std::fill_n(d.begin(), 50, 1.0);
  auto a = product(true, false, n, n, n, q, scale_rows(d, q));
  const auto original = a;
  blas::symmetric_eigen<double>(n, a.data(), values.data());
  CHECK(std::abs(values[99]) <= 1e-13);
  CHECK(std::abs(values[100] - 1) <= 1e-13);
  CHECK(distance(product(false, true, n, n, n, a, a), identity<double>(n)) <= 1e-12);
  CHECK(distance(product(true, false, n, n, n, a, scale_rows(values, a)), original) <= 1e-12);
}

TEST_CASE("symmetric_eigen: does not make numbers of a NaN") {
  for (const std::int64_t n : {4, 150}) {
    Matrix<double> a = identity<double>(n);
    a[1] = a[n] = std::numeric_limits<double>::quiet_NaN();
    Matrix<double> values(n);
    bool refused = false;
    try {
      blas::symmetric_eigen<double>(n, a.data(), values.data());
    } catch (const NumericError&) {
      refused = true;
    }
    CHECK((refused || std::any_of(values.begin(), values.end(), [](double v) { return v != v; })));
  }
}

// The Gram matrix of a complex A, as a real one: the singular values of [re, -im; im, re] are
// those of A, each twice.
TEST_CASE("singular_values_complex: are those of the real form, once each") {
  for (const Extents& extents : {Extents{4, 4}, {5, 2}, {2, 6}, {1, 1}}) {
    const std::int64_t m = extents[0];
    const std::int64_t n = extents[1];
    CAPTURE(m);
    CAPTURE(n);
    const auto a = random_matrix<double>(m, 2 * n, 9);  // [m, n] of (re, im)
    Matrix<double> real(static_cast<std::size_t>(4 * m * n));
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        const double re = a[(i * n + j) * 2];
        const double im = a[(i * n + j) * 2 + 1];
        real[i * 2 * n + j] = real[(m + i) * 2 * n + n + j] = re;
        real[i * 2 * n + n + j] = -im;
        real[(m + i) * 2 * n + j] = im;
      }
    }
    const std::int64_t r = std::min(m, n);
    Matrix<double> twice(static_cast<std::size_t>(2 * r));
    Matrix<double> values(static_cast<std::size_t>(r));
    auto copy = a;
    blas::singular_values<double>(2 * m, 2 * n, real.data(), twice.data());
    blas::singular_values_complex(m, n, copy.data(), values.data());
    for (std::int64_t i = 0; i < r; ++i) {
      CHECK(values[i] == doctest::Approx(twice[2 * i]).epsilon(1e-13));
      CHECK(values[i] == doctest::Approx(twice[2 * i + 1]).epsilon(1e-13));
    }
  }
}

TEST_SUITE_END();
