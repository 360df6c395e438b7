#pragma once

#include <cstdint>
#include <vector>

namespace isotape::verify {

/// Numbers side by side that the processor works on at once.
constexpr std::int64_t lanes = 16;

/// out[r, l] = sum over k of rows[r, k] panel[k, l]: each sum of m products in the order of k.
///
/// @param rows   [n, m]
/// @param panel  [m, lanes]
/// @param out    [n, lanes]
void multiply(std::int64_t n, std::int64_t m, const double* rows, const double* panel, double* out);

/// x y^T.
///
/// @param symmetric  x is y: half of the work
/// @param x, y       [n, m]
/// @return           [n, n]
std::vector<double> outer_product(std::int64_t n, std::int64_t m, const std::vector<double>& x,
                                  const std::vector<double>& y, bool symmetric);

}  // namespace isotape::verify
