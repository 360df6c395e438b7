#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include <isotape/core/random.hpp>

// Matrices in plain loops, which those of BLAS are held against.
namespace plain {

template <class T>
constexpr double tolerance = std::is_same_v<T, float> ? 2e-5 : 2e-13;

using Extents = std::array<std::int64_t, 3>;  // m, n and, where it matters, k

template <class T>
using Matrix = std::vector<T>;  // row-major

template <class T>
Matrix<T> random_matrix(std::int64_t m, std::int64_t n, std::uint64_t seed) {
  isotape::Rng rng(seed);
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

}  // namespace plain
