#pragma once

#include <cstdint>

namespace isotape {

/// Rows of `count` groups of `size` channels: member i of group g is channel i count + g or, if
/// adjacent, g size + i.
struct GroupRows {
  /// Groups beyond are sorted elsewhere: comparing all neighbours takes size^2 / 2 steps.
  static constexpr int largest = 16;

  std::int64_t rows, size, count;
  bool adjacent;

  std::int64_t channels() const { return size * count; }
  std::int64_t rank() const { return adjacent ? 1 : count; }  ///< from member to member
  std::int64_t group() const { return adjacent ? size : 1; }  ///< from group to group
};

/// y = sorted groups of x + bias, largest first and stable, a NaN before all numbers; y may be x.
/// size <= largest.
/// @param bias     [channels], or null
/// @param sources  [rows, channels], gets at each place of y which member of its group is there; or
///                 null
void sort_groups(const GroupRows& r, const float* x, const float* bias, float* y,
                 std::uint8_t* sources);
void sort_groups(const GroupRows& r, const double* x, const double* bias, double* y,
                 std::uint8_t* sources);

/// The inverse, every value back to where it came from, and so the transpose of the Jacobian;
/// y may be x. size <= largest.
/// @param sums  gets the sum of the rows of y, [channels], or null
void unsort_groups(const GroupRows& r, const float* x, const std::uint8_t* sources, float* y,
                   float* sums);
void unsort_groups(const GroupRows& r, const double* x, const std::uint8_t* sources, double* y,
                   double* sums);

}  // namespace isotape
