#include <isotape/core/shape.hpp>

#include <algorithm>
#include <functional>
#include <numeric>
#include <ostream>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

constexpr std::int64_t max_size = std::int64_t{1} << 60;

}  // namespace

Shape::Shape(std::initializer_list<std::int64_t> extents) {
  assign({extents.begin(), extents.size()});
}

Shape::Shape(std::span<const std::int64_t> extents) { assign(extents); }

void Shape::assign(std::span<const std::int64_t> extents) {
  require<ShapeError>(extents.size() <= max_rank, "shape: expected at most ", max_rank,
                      " axes, got ", extents.size());
  std::int64_t size = 1;
  for (const std::int64_t extent : extents) {
    require<ShapeError>(extent >= 0, "shape: expected extents >= 0, got ", extent);
    require<ShapeError>(extent == 0 || size <= max_size / extent,
                        "shape: expected at most 2^60 elements, got ", size, " x ", extent);
    size *= extent;
  }
  std::copy(extents.begin(), extents.end(), extents_.begin());
  rank_ = static_cast<int>(extents.size());
}

std::int64_t Shape::size() const {
  return std::accumulate(begin(), end(), std::int64_t{1}, std::multiplies<>());
}

int Shape::axis_index(int axis) const {
  const int index = axis < 0 ? axis + rank_ : axis;
  require<ShapeError>(0 <= index && index < rank_, "shape: expected an axis of ", *this, ", got ",
                      axis);
  return index;
}

std::int64_t Shape::operator[](int axis) const { return extents_.at(axis_index(axis)); }

Shape Shape::with(int axis, std::int64_t extent) const {
  std::array<std::int64_t, max_rank> extents = extents_;
  extents.at(axis_index(axis)) = extent;
  return Shape(std::span<const std::int64_t>(extents.data(), static_cast<std::size_t>(rank_)));
}

std::int64_t Shape::outer(int axis) const {
  return std::accumulate(begin(), begin() + axis_index(axis), std::int64_t{1}, std::multiplies<>());
}

std::int64_t Shape::inner(int axis) const {
  return std::accumulate(begin() + axis_index(axis) + 1, end(), std::int64_t{1},
                         std::multiplies<>());
}

std::ostream& operator<<(std::ostream& os, const Shape& shape) {
  os << '[';
  const char* separator = "";
  for (const std::int64_t extent : shape) {
    os << separator << extent;
    separator = ", ";
  }
  return os << ']';
}

}  // namespace isotape
