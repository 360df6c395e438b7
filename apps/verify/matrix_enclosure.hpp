#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <isotape/apps/verify/enclosure.hpp>

namespace isotape::verify {

/// A proved upper bound of |d|_2 of a symmetric matrix, by the Frobenius norm of its power
/// 2^squarings: too large by a factor of at most n^(1 / 2^(squarings + 1)) and by roundings.
///
/// @param d  [n, n], both halves; a number that is not finite gives infinity
double symmetric_norm(std::int64_t n, std::vector<double> d, int squarings);

/// A proved upper bound of |x|_2, by that of x x^T.
///
/// @param x  [n, m]
double norm(std::int64_t n, std::int64_t m, const std::vector<double>& x, int squarings);

/// Proved enclosure of the min(rows, columns) singular values of a matrix.
///
/// @param w  [rows, columns], finite
Enclosure matrix_enclosure(std::span<const float> w, std::int64_t rows, std::int64_t columns);

/// The roots of [center - distance, center + distance], outwards; 0 for what is below it.
Enclosure roots_around(double center, double distance);

}  // namespace isotape::verify
