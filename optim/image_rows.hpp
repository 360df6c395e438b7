#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <isotape/core/tensor.hpp>

namespace isotape {

/// The given entries of the outermost axis, in that order, in memory of their own.
/// @throws ShapeError  if there is no such row
Tensor gather_rows(const Tensor& x, std::span<const std::int64_t> rows);

/// Overwrites the given rows of x by those of `source`, in that order.
/// @throws ShapeError  if a row does not exist, or shapes or types of a row differ
void put_rows(Tensor& x, std::span<const std::int64_t> rows, const Tensor& source);

/// The given entries of a list.
template <class T>
std::vector<T> gathered(const std::vector<T>& list, std::span<const std::int64_t> rows) {
  std::vector<T> taken;
  taken.reserve(rows.size());
  for (const std::int64_t row : rows) taken.push_back(list[static_cast<std::size_t>(row)]);
  return taken;
}

/// 0, 1, ..., n - 1.
std::vector<std::int64_t> all_rows(std::int64_t n);

}  // namespace isotape
