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

using namespace isotape;

TEST_SUITE_BEGIN("core/blas");

namespace {

template <class T>
constexpr double tolerance = std::is_same_v<T, float> ? 2e-5 : 2e-13;

using Extents = std::array<std::int64_t, 3>;  // m, n and, where it matters, k

template <class T>
using Matrix = std::vector<T>;  // row-major

template <class T>
Matrix<T> random_matrix(std::int64_t m, std::int64_t n, std::uint64_t seed) {
  Rng rng(seed);
  Matrix<T> a(static_cast<std::size_t>(m * n));
  for (T& entry : a) entry = static_cast<T>(rng.normal());
  return a;
}

// op(a) op(b) with op(a) [m, k], op(b) [k, n], by plain loops.
template <class T>
Matrix<T> product(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k,
                  const Matrix<T>& a, const Matrix<T>& b) {
  Matrix<T> c(static_cast<std::size_t>(m * n));
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::int64_t p = 0; p < k; ++p) {
        sum += double(a[trans_a ? p * m + i : i * k + p]) * b[trans_b ? j * k + p : p * n + j];
      }
      c[i * n + j] = static_cast<T>(sum);
    }
  }
  return c;
}

template <class T>
double distance(const Matrix<T>& a, const Matrix<T>& b) {
  double largest = a.size() == b.size() ? 0 : std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(double(a[i]) - double(b[i])));
  }
  return largest;
}

template <class T>
Matrix<T> identity(std::int64_t n) {
  Matrix<T> a(static_cast<std::size_t>(n * n));
  for (std::int64_t i = 0; i < n; ++i) a[i * n + i] = 1;
  return a;
}

// rows of a [m, n] times factors: diag(d) a.
template <class T>
Matrix<T> scale_rows(const Matrix<T>& d, Matrix<T> a) {
  const std::size_t n = d.empty() ? 0 : a.size() / d.size();
  for (std::size_t i = 0; i < a.size(); ++i) a[i] *= d[i / n];
  return a;
}

}  // namespace

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
