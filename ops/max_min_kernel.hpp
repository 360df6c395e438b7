#pragma once

#include <cstdint>

namespace isotape {

/// Rows of 2 `half` channels in pairs, (g, g + half) or, if adjacent, (2 g, 2 g + 1), and one bit
/// per pair: bit g % 8 of byte g / 8 of a row's (half + 7) / 8 bytes.
struct PairRows {
  std::int64_t rows, half;
  bool adjacent;

  std::int64_t channels() const { return 2 * half; }
  std::int64_t mask_bytes() const { return (half + 7) / 8; }  ///< of one row
};

/// y = sorted pairs of x + bias, larger first; y may be x.
/// @param bias  [2 half], or null
/// @param mask  gets the pairs that were swapped, or null
void sort_pairs(const PairRows& p, const float* x, const float* bias, float* y, std::uint8_t* mask);
void sort_pairs(const PairRows& p, const double* x, const double* bias, double* y,
                std::uint8_t* mask);

/// y = x with the pairs in mask swapped, the Jacobian of sort_pairs and its own transpose; y may be
/// x.
/// @param sums  gets the sum of the rows of y, [2 half], or null
void swap_pairs(const PairRows& p, const float* x, const std::uint8_t* mask, float* y, float* sums);
void swap_pairs(const PairRows& p, const double* x, const std::uint8_t* mask, double* y,
                double* sums);

}  // namespace isotape
