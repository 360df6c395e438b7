#pragma once

#include <algorithm>
#include <cstdint>

// What the kernels of sorts share: eight groups of channels at a time, and down the rows before
// across them, so that what belongs to a column (its bias, its sum) stays in registers. The
// templates of a kernel are inlined into the functions at its end, which are compiled for several
// instruction sets.

#define ISOTAPE_INLINE [[gnu::always_inline]] inline

namespace isotape {

constexpr std::int64_t eight = 8;

template <class T>
struct Vectors;
template <>
struct Vectors<float> {
  using Values = float __attribute__((vector_size(eight * sizeof(float))));
  using Mask = std::int32_t __attribute__((vector_size(eight * sizeof(float))));
};
template <>
struct Vectors<double> {
  using Values = double __attribute__((vector_size(eight * sizeof(double))));
  using Mask = std::int64_t __attribute__((vector_size(eight * sizeof(double))));
};

// How many rows at a time, so that they are still in the first cache for their next column.
ISOTAPE_INLINE std::int64_t band_rows(std::int64_t channels) {
  constexpr std::int64_t elements = 4096;
  return std::clamp<std::int64_t>(elements / channels, 4, 64);
}

}  // namespace isotape
