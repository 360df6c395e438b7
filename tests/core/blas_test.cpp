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

TEST_SUITE_BEGIN("core/blas");

TEST_CASE("blas: the loaded library runs on the process's one OpenMP runtime") {
  CHECK(blas::uses_openmp());
  CHECK(blas::description().find("OpenBLAS") != std::string::npos);
}

TEST_CASE_TEMPLATE("gemm: equals plain loops for every transposition and shape", T, float, double) {
  for (const Extents& extents :
       {Extents{3, 4, 5}, {1, 7, 2}, {6, 1, 1}, {33, 17, 70}, {4, 4, 0}, {0, 3, 2}}) {
    const std::int64_t m = extents[0];
    const std::int64_t n = extents[1];
    const std::int64_t k = extents[2];
    for (const bool trans_a : {false, true}) {
      for (const bool trans_b : {false, true}) {
        CAPTURE(m);
        CAPTURE(n);
        CAPTURE(k);
        CAPTURE(trans_a);
        CAPTURE(trans_b);
        const auto a = random_matrix<T>(m, k, 1);
        const auto b = random_matrix<T>(k, n, 2);
        const std::int64_t lda = trans_a ? m : k;
        const std::int64_t ldb = trans_b ? k : n;
        const auto expected = product(trans_a, trans_b, m, n, k, a, b);
        // With beta = 0 the old values do not count, not even a NaN.
        Matrix<T> c(static_cast<std::size_t>(m * n), std::numeric_limits<T>::quiet_NaN());
        blas::gemm<T>(trans_a, trans_b, m, n, k, 1, a.data(), lda, b.data(), ldb, 0, c.data(), n);
        CHECK(distance(c, expected) <= tolerance<T>);
        blas::gemm<T>(trans_a, trans_b, m, n, k, 2, a.data(), lda, b.data(), ldb, -1, c.data(), n);
        CHECK(distance(c, expected) <= 4 * tolerance<T>);
      }
    }
  }
}

TEST_CASE_TEMPLATE("gemm: row strides select a part of a larger array", T, float, double) {
  const auto a = random_matrix<T>(3, 9, 1);
  const auto b = random_matrix<T>(2, 8, 2);
  Matrix<T> c(3 * 7, T{5});
  blas::gemm<T>(false, false, 3, 4, 2, 1, a.data(), 9, b.data(), 8, 0, c.data(), 7);
  for (std::int64_t i = 0; i < 3; ++i) {
    for (std::int64_t j = 0; j < 7; ++j) {
      const T expected = j < 4 ? a[i * 9] * b[j] + a[i * 9 + 1] * b[8 + j] : T{5};
      CHECK(c[i * 7 + j] == doctest::Approx(expected).epsilon(1e-5));
    }
  }
}

TEST_CASE_TEMPLATE("syrk: writes both triangles of op(a) op(a)^T", T, float, double) {
  for (const bool trans : {false, true}) {
    CAPTURE(trans);
    const std::int64_t n = 5;
    const std::int64_t k = 7;
    const auto a = random_matrix<T>(n, k, 3);
    const auto expected = product(trans, !trans, n, n, k, a, a);
    Matrix<T> c(n * n, std::numeric_limits<T>::quiet_NaN());
    blas::syrk<T>(trans, n, k, 1, a.data(), trans ? n : k, 0, c.data(), n);
    CHECK(distance(c, expected) <= tolerance<T>);
    blas::syrk<T>(trans, n, k, 3, a.data(), trans ? n : k, -2, c.data(), n);
    CHECK(distance(c, expected) <= 4 * tolerance<T>);
  }
}

TEST_CASE_TEMPLATE("gemv: equals plain loops", T, float, double) {
  const auto a = random_matrix<T>(4, 6, 4);
  for (const bool trans : {false, true}) {
    const std::int64_t rows = trans ? 6 : 4;
    const std::int64_t columns = trans ? 4 : 6;
    const auto x = random_matrix<T>(columns, 1, 5);
    const auto expected = product(trans, false, rows, 1, columns, a, x);
    Matrix<T> y(static_cast<std::size_t>(rows));
    blas::gemv<T>(trans, 4, 6, 1, a.data(), 6, x.data(), 0, y.data());
    CHECK(distance(y, expected) <= tolerance<T>);
    blas::gemv<T>(trans, 4, 6, 2, a.data(), 6, x.data(), -1, y.data());
    CHECK(distance(y, expected) <= 4 * tolerance<T>);
  }
}

TEST_CASE_TEMPLATE("lu: solves with the matrix and with its transpose", T, float, double) {
  for (const std::int64_t n : {1, 2, 12}) {
    for (const bool trans : {false, true}) {
      CAPTURE(n);
      CAPTURE(trans);
      auto a = random_matrix<T>(n, n, 10);
      for (std::int64_t i = 0; i < n; ++i) a[i * n + i] += T(3);
      const auto x = random_matrix<T>(n, 3, 11);
      auto b = product(trans, false, n, 3, n, a, x);
      auto lu = a;
      std::vector<int> pivots(static_cast<std::size_t>(n));
      blas::lu_factor<T>(n, lu.data(), pivots.data());
      blas::lu_solve<T>(trans, n, 3, lu.data(), pivots.data(), b.data());
      CHECK(distance(b, x) <= 10 * tolerance<T>);
    }
  }
}

TEST_CASE_TEMPLATE("lu: inverts the matrix", T, float, double) {
  for (const std::int64_t n : {1, 2, 12}) {
    CAPTURE(n);
    auto a = random_matrix<T>(n, n, 10);
    for (std::int64_t i = 0; i < n; ++i) a[i * n + i] += T(3);
    auto lu = a;
    std::vector<int> pivots(static_cast<std::size_t>(n));
    Matrix<T> inverse(a.size());
    blas::lu_factor<T>(n, lu.data(), pivots.data());
    blas::lu_inverse<T>(n, lu.data(), pivots.data(), inverse.data());
    CHECK(distance(product(false, false, n, n, n, a, inverse), identity<T>(n)) <=
          10 * tolerance<T>);
  }
}

TEST_CASE("lu: rejects a singular matrix") {
  Matrix<double> a = {1, 2, 2, 4};
  std::vector<int> pivots(2);
  CHECK_THROWS_WITH_AS(blas::lu_factor<double>(2, a.data(), pivots.data()),
                       "lu_factor: expected a regular matrix of order 2, got a zero pivot at 2",
                       NumericError);
}

TEST_CASE_TEMPLATE("cholesky: A = L L^T with zeros above the diagonal", T, float, double) {
  for (const std::int64_t n : {0, 1, 2, 13}) {
    CAPTURE(n);
    const auto b = random_matrix<T>(n, n + 3, 12);
    auto a = product(false, true, n, n, n + 3, b, b);
    const auto original = a;
    CHECK(blas::cholesky<T>(n, a.data()));
    CHECK(distance(product(false, true, n, n, n, a, a), original) <= 20 * tolerance<T>);
    for (std::int64_t i = 0; i < n; ++i) {
      CHECK(a[i * n + i] > 0);
      for (std::int64_t j = i + 1; j < n; ++j) CHECK(a[i * n + j] == 0);
    }
  }
}

TEST_CASE("cholesky: tells that a matrix is not positive definite") {
  Matrix<double> indefinite = {1, 2, 2, 1};
  CHECK_FALSE(blas::cholesky<double>(2, indefinite.data()));
  Matrix<double> nan = {std::numeric_limits<double>::quiet_NaN()};
  CHECK_FALSE(blas::cholesky<double>(1, nan.data()));
}

TEST_CASE_TEMPLATE("triangular_inverse: of a lower triangle, zeros above stay", T, float, double) {
  for (const std::int64_t n : {0, 1, 2, 13}) {
    CAPTURE(n);
    const auto b = random_matrix<T>(n, n + 3, 12);
    auto l = product(false, true, n, n, n + 3, b, b);
    REQUIRE(blas::cholesky<T>(n, l.data()));
    auto inverse = l;
    blas::triangular_inverse<T>(n, inverse.data());
    CHECK(distance(product(false, false, n, n, n, inverse, l), identity<T>(n)) <=
          20 * tolerance<T>);
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = i + 1; j < n; ++j) CHECK(inverse[i * n + j] == 0);
    }
  }
  Matrix<T> singular = {1, 0, 5, 0};
  CHECK_THROWS_WITH_AS(blas::triangular_inverse<T>(2, singular.data()),
                       "triangular_inverse: expected a regular matrix of order 2, got a zero on "
                       "the diagonal at 2",
                       NumericError);
}

TEST_CASE_TEMPLATE("triangular_product: the product from either side, of the lower triangle alone",
                   T, float, double) {
  const std::int64_t m = 5;
  const std::int64_t n = 8;
  for (const bool right : {false, true}) {
    for (const bool trans : {false, true}) {
      CAPTURE(right);
      CAPTURE(trans);
      const std::int64_t order = right ? n : m;
      auto a = random_matrix<T>(order, order, 3);  // full: what is above must not be read
      const auto b = random_matrix<T>(m, n, 4);
      auto result = b;
      blas::triangular_product<T>(right, trans, m, n, a.data(), result.data());
      for (std::int64_t i = 0; i < order; ++i) {
        for (std::int64_t j = i + 1; j < order; ++j) a[i * order + j] = 0;
      }
      const auto expected =
          right ? product(false, trans, m, n, n, b, a) : product(trans, false, m, n, m, a, b);
      CHECK(distance(result, expected) <= 20 * tolerance<T>);
    }
  }
}

TEST_CASE_TEMPLATE("qr_orthonormal: a = q r, with the signs of r's diagonal", T, float, double) {
  for (const Extents& extents : {Extents{6, 6}, {9, 4}, {3, 1}, {200, 70}}) {
    const std::int64_t m = extents[0];
    const std::int64_t n = extents[1];
    CAPTURE(m);
    CAPTURE(n);
    const auto original = random_matrix<T>(m, n, 13);
    auto q = original;
    Matrix<T> signs(static_cast<std::size_t>(n));
    blas::qr_orthonormal<T>(m, n, q.data(), signs.data());
    CHECK(distance(product(true, false, n, n, m, q, q), identity<T>(n)) <= tolerance<T>);
    const auto r = product(true, false, n, n, m, q, original);
    for (std::int64_t i = 0; i < n; ++i) {
      CHECK(signs[i] * r[i * n + i] > 0);
      for (std::int64_t j = 0; j < i; ++j) CHECK(std::abs(r[i * n + j]) <= 50 * tolerance<T>);
    }
  }
  CHECK_THROWS_WITH_AS(blas::qr_orthonormal<T>(2, 3, nullptr, nullptr),
                       "qr_orthonormal: expected m >= n, got [2, 3]", ShapeError);
}

TEST_CASE("blas: rejects extents beyond the library's int") {
  CHECK_THROWS_WITH_AS(blas::cholesky<double>(std::int64_t{1} << 31, nullptr),
                       "blas: expected extents below 2^31, got 2147483648", ShapeError);
}

TEST_SUITE_END();
