#pragma once

#include <algorithm>
#include <cstdint>

#include <isotape/core/tensor.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {

// Passes over an activation as rows [rows, channels], in parallel, by blocks of rows: what is
// summed over the rows is summed plainly within a block, in f64 beyond, for any number of threads
// alike.

constexpr std::int64_t row_block = 256;

inline std::int64_t row_count(const Tensor& x) {
  return x.size() / std::max<std::int64_t>(x.dim(-1), 1);
}

/// Calls f(first row, rows) for each range of blocks; `cost` is that of one element.
template <class F>
void for_row_blocks(std::int64_t rows, std::int64_t channels, std::int64_t cost, F&& f) {
  constexpr std::int64_t work_of_a_thread = 1 << 15;
  const std::int64_t grain = work_of_a_thread / (row_block * channels * cost + 1) + 1;
  parallel_for((rows + row_block - 1) / row_block, grain,
               [&](std::int64_t begin, std::int64_t end) {
                 const std::int64_t first = begin * row_block;
                 f(first, std::min(end * row_block, rows) - first);
               });
}

/// Calls f(first row, rows, sums) for each block, which writes the sum of its result's rows to
/// sums [channels], and adds them up; where no sum is asked for, sums is null.
/// @return  [channels], or absent
template <class T, class F>
Tensor summed_row_blocks(std::int64_t rows, std::int64_t channels, bool with_sum, F&& f) {
  const std::int64_t blocks = (rows + row_block - 1) / row_block;
  Tensor partial = with_sum ? Tensor({blocks, channels}, dtype_of<T>()) : Tensor();
  T* const sums = with_sum ? partial.write<T>() : nullptr;
  for_row_blocks(rows, channels, 1, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t row = first; row < first + count; row += row_block) {
      f(row, std::min(row_block, first + count - row),
        sums == nullptr ? nullptr : sums + row / row_block * channels);
    }
  });
  if (!with_sum) return {};
  Tensor sum({channels}, dtype_of<T>());
  T* const to = sum.write<T>();
  for (std::int64_t c = 0; c < channels; ++c) {
    double total = 0;
    for (std::int64_t k = 0; k < blocks; ++k) total += double(sums[k * channels + c]);
    to[c] = static_cast<T>(total);
  }
  return sum;
}

/// The memory of x itself, where nobody else sees it; else new memory of its shape.
inline Tensor result_for(const Tensor& x) { return x.unique() ? x : Tensor(x.shape(), x.dtype()); }

/// @throws ShapeError  in the name of op, if there is a bias that is not [C] of x's type
void require_bias(const char* op, const Tensor& x, const Tensor& bias);

/// x + bias, of which either may be absent, of the given shape.
Tensor shifted(const Shape& shape, const Tensor& x, const Tensor& bias);

}  // namespace isotape
