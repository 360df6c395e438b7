#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>

namespace isotape {

/// Extents of a dense row-major array, outermost first; up to six axes, kept inline.
/// Activations are [N, H, W, C], kernels [O, H, W, I], matrices [m, n]; a scalar is [].
class Shape {
 public:
  static constexpr int max_rank = 6;

  Shape() = default;
  /// @throws ShapeError  for more than six axes, a negative extent or above 2^60 elements
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(std::span<const std::int64_t> extents);

  int rank() const { return rank_; }
  /// Number of elements; 1 for a scalar.
  std::int64_t size() const;
  /// Extent of an axis; a negative axis counts from the end.
  /// @throws ShapeError  if there is no such axis
  std::int64_t operator[](int axis) const;
  /// The same shape with one extent replaced.
  Shape with(int axis, std::int64_t extent) const;
  /// Number of elements in front of, and behind, an axis.
  std::int64_t outer(int axis) const;
  std::int64_t inner(int axis) const;

  const std::int64_t* begin() const { return extents_.data(); }
  const std::int64_t* end() const { return extents_.data() + rank_; }
  friend bool operator==(const Shape& a, const Shape& b) = default;

 private:
  void assign(std::span<const std::int64_t> extents);
  int axis_index(int axis) const;
  std::array<std::int64_t, max_rank> extents_{};
  int rank_ = 0;
};

/// Prints `[2, 3]`.
std::ostream& operator<<(std::ostream& os, const Shape& shape);

}  // namespace isotape
