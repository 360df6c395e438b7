#pragma once

#include <algorithm>
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <cstdint>
#include <vector>

#include <isotape/core/tensor.hpp>

// Singular values in arithmetic of 100 decimal digits: the truth that enclosures must contain.

using Exact = boost::multiprecision::number<boost::multiprecision::cpp_bin_float<100>,
                                            boost::multiprecision::et_off>;

/// A matrix by columns, as long as each other.
using ExactMatrix = std::vector<std::vector<Exact>>;

inline Exact exact_dot(const std::vector<Exact>& a, const std::vector<Exact>& b) {
  Exact sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// The min(rows, columns) singular values, descending, to about 90 digits of the largest: one-sided
/// Jacobi rotations of the columns until all are orthogonal [Hestenes 1958].
inline std::vector<Exact> exact_singular_values(ExactMatrix columns) {
  const std::size_t n = columns.size();
  const std::size_t rows = columns.front().size();
  const Exact tolerance("1e-92");
  Exact total = 0;
  for (const std::vector<Exact>& column : columns) total += exact_dot(column, column);
  // What is left of a column without a singular value is rounding, and orthogonal to nothing.
  const Exact nothing = total * tolerance * tolerance;
  for (bool rotated = true; rotated;) {
    rotated = false;
    for (std::size_t p = 0; p < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        const Exact a = exact_dot(columns[p], columns[p]);
        const Exact b = exact_dot(columns[q], columns[q]);
        const Exact c = exact_dot(columns[p], columns[q]);
        if (a <= nothing || b <= nothing || c * c <= tolerance * tolerance * a * b) continue;
        rotated = true;
        const Exact zeta = (b - a) / (2 * c);
        const Exact root = sqrt(1 + zeta * zeta);
        const Exact t = zeta >= 0 ? Exact(1 / (zeta + root)) : Exact(-1 / (root - zeta));
        const Exact cosine = 1 / sqrt(1 + t * t);
        const Exact sine = cosine * t;
        for (std::size_t i = 0; i < rows; ++i) {
          const Exact x = columns[p][i];
          columns[p][i] = cosine * x - sine * columns[q][i];
          columns[q][i] = sine * x + cosine * columns[q][i];
        }
      }
    }
  }
  std::vector<Exact> sigma;
  for (const std::vector<Exact>& column : columns) sigma.push_back(sqrt(exact_dot(column, column)));
  std::sort(sigma.begin(), sigma.end(), std::greater<>());
  sigma.resize(std::min(n, rows));
  return sigma;
}

/// Of a matrix [m, n], as its entries are stored.
inline std::vector<Exact> exact_singular_values(const isotape::Tensor& w) {
  const std::int64_t m = w.dim(0);
  const std::int64_t n = w.dim(1);
  // Few long columns rotate faster.
  ExactMatrix columns(static_cast<std::size_t>(std::min(m, n)));
  for (std::int64_t j = 0; j < std::min(m, n); ++j) {
    for (std::int64_t i = 0; i < std::max(m, n); ++i) {
      columns[j].emplace_back(m >= n ? w.at(i * n + j) : w.at(j * n + i));
    }
  }
  return exact_singular_values(std::move(columns));
}
