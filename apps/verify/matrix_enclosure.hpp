#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <isotape/apps/verify/enclosure.hpp>

namespace isotape::verify {

/// A square symmetric matrix of f64, both halves stored, row by row.
struct Symmetric {
  std::int64_t n = 0;
  std::vector<double> entries;  // n * n
};

/// A proved upper bound of |d|_2, by the Frobenius norm of its 2^squarings-th power.
///
/// Too large by a factor of at most n^(1 / 2^(squarings + 1)), and by the roundings of the powers.
double norm_bound(Symmetric d, int squarings);

/// x x^T, each entry off by at most gamma(m) of the entry of |x| |x|^T, but for underflow, which
/// products of f32 numbers do not know.
///
/// @param x  [n, m], row by row
Symmetric gram(std::span<const double> x, std::int64_t n, std::int64_t m);

/// Proved enclosure of the singular values of a matrix (of min(rows, columns) of them).
///
/// @param w  [rows, columns], row by row, finite
Enclosure matrix_enclosure(std::span<const float> w, std::int64_t rows, std::int64_t columns);

}  // namespace isotape::verify
