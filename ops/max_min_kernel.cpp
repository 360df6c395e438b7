#include <isotape/ops/max_min_kernel.hpp>

#include <algorithm>
#include <cstring>

#include <isotape/core/isa.hpp>
#include <isotape/ops/eight_lanes.hpp>

namespace isotape {
namespace {

template <class M>
ISOTAPE_INLINE void places(M& m) {
  m = M{1, 2, 4, 8, 16, 32, 64, 128};
}

// One bit per lane.
template <class M>
ISOTAPE_INLINE int bits_of(const M& lanes) {
  M m;
  places(m);
  m &= lanes;
  m |= __builtin_shufflevector(m, m, 4, 5, 6, 7, 0, 1, 2, 3);
  m |= __builtin_shufflevector(m, m, 2, 3, 0, 1, 6, 7, 4, 5);
  return static_cast<int>(m[0] | m[1]);
}

template <class M>
ISOTAPE_INLINE void spread(int bits, M& m) {
  places(m);
  m = (m & bits) != 0;
}

// ---- pairs (g, g + half): two vectors that are compared

template <class T>
ISOTAPE_INLINE void sort_column(const PairRows& r, std::int64_t g, const T* x, const T* bias, T* y,
                                std::uint8_t* mask) {
  typename Vectors<T>::Values shift_a = {};
  typename Vectors<T>::Values shift_b = {};
  if (bias != nullptr) {
    std::memcpy(&shift_a, bias + g, sizeof(shift_a));
    std::memcpy(&shift_b, bias + g + r.half, sizeof(shift_b));
  }
  for (std::int64_t row = 0; row < r.rows; ++row) {
    const std::int64_t at = row * r.channels() + g;
    typename Vectors<T>::Values a;
    typename Vectors<T>::Values b;
    std::memcpy(&a, x + at, sizeof(a));
    std::memcpy(&b, x + at + r.half, sizeof(b));
    if (bias != nullptr) {
      a += shift_a;
      b += shift_b;
    }
    // b goes before a, which stands before it: a tie stays, a NaN counts as largest.
    const auto swap = ~(a >= b) & (a == a);  // NOLINT: not equal to itself is NaN
    const auto larger = swap ? b : a;
    const auto smaller = swap ? a : b;
    std::memcpy(y + at, &larger, sizeof(a));
    std::memcpy(y + at + r.half, &smaller, sizeof(b));
    if (mask != nullptr) {
      mask[row * r.mask_bytes() + g / eight] = static_cast<std::uint8_t>(bits_of(swap));
    }
  }
}

template <class T>
ISOTAPE_INLINE void swap_column(const PairRows& r, std::int64_t g, const T* x,
                                const std::uint8_t* mask, T* y, T* sums) {
  typename Vectors<T>::Values sum_a = {};
  typename Vectors<T>::Values sum_b = {};
  for (std::int64_t row = 0; row < r.rows; ++row) {
    const std::int64_t at = row * r.channels() + g;
    typename Vectors<T>::Values a;
    typename Vectors<T>::Values b;
    std::memcpy(&a, x + at, sizeof(a));
    std::memcpy(&b, x + at + r.half, sizeof(b));
    typename Vectors<T>::Mask swap;
    spread(mask[row * r.mask_bytes() + g / eight], swap);
    const auto first = swap ? b : a;
    const auto second = swap ? a : b;
    std::memcpy(y + at, &first, sizeof(a));
    std::memcpy(y + at + r.half, &second, sizeof(b));
    sum_a += first;
    sum_b += second;
  }
  if (sums != nullptr) {
    for (int i = 0; i < eight; ++i) sums[g + i] += sum_a[i];
    for (int i = 0; i < eight; ++i) sums[g + r.half + i] += sum_b[i];
  }
}

// ---- the pairs behind the last eight, and pairs (2 g, 2 g + 1): one by one

template <class T, bool adjacent>
ISOTAPE_INLINE void sort_rest(const PairRows& r, std::int64_t first, const T* x, const T* bias,
                              T* y, std::uint8_t* mask) {
  const std::int64_t step = adjacent ? 2 : 1;
  const std::int64_t other = adjacent ? 1 : r.half;
  for (std::int64_t row = 0; row < r.rows; ++row, x += r.channels(), y += r.channels()) {
    for (std::int64_t g = first; g < r.half; g += eight) {
      int bits = 0;
      const std::int64_t count = std::min(eight, r.half - g);
      for (std::int64_t j = 0; j < count; ++j) {
        const std::int64_t i = step * (g + j);
        const T a = bias != nullptr ? x[i] + bias[i] : x[i];
        const T b = bias != nullptr ? x[i + other] + bias[i + other] : x[i + other];
        const bool swap = !(a >= b) & (a == a);  // NOLINT: as above
        y[i] = swap ? b : a;
        y[i + other] = swap ? a : b;
        bits |= static_cast<int>(swap) << j;
      }
      if (mask != nullptr) {
        mask[row * r.mask_bytes() + g / eight] = static_cast<std::uint8_t>(bits);
      }
    }
  }
}

template <class T, bool adjacent>
ISOTAPE_INLINE void swap_rest(const PairRows& r, std::int64_t first, const T* x,
                              const std::uint8_t* mask, T* y, T* sums) {
  const std::int64_t step = adjacent ? 2 : 1;
  const std::int64_t other = adjacent ? 1 : r.half;
  for (std::int64_t row = 0; row < r.rows; ++row, x += r.channels(), y += r.channels()) {
    for (std::int64_t g = first; g < r.half; g += eight) {
      const int bits = mask[row * r.mask_bytes() + g / eight];
      const std::int64_t count = std::min(eight, r.half - g);
      for (std::int64_t j = 0; j < count; ++j) {
        const std::int64_t i = step * (g + j);
        const bool swap = (bits >> j & 1) != 0;
        const T a = x[i];
        const T b = x[i + other];
        y[i] = swap ? b : a;
        y[i + other] = swap ? a : b;
        if (sums != nullptr) {
          sums[i] += y[i];
          sums[i + other] += y[i + other];
        }
      }
    }
  }
}

// ---- bands of rows, which are still in the cache for their next column

template <class T>
ISOTAPE_INLINE void sort(const PairRows& r, const T* x, const T* bias, T* y, std::uint8_t* mask) {
  PairRows band = r;
  for (std::int64_t row = 0; row < r.rows; row += band.rows) {
    band.rows = std::min(band_rows(r.channels()), r.rows - row);
    if (r.adjacent) {
      sort_rest<T, true>(band, 0, x, bias, y, mask);
    } else {
      std::int64_t g = 0;
      for (; g + eight <= r.half; g += eight) sort_column<T>(band, g, x, bias, y, mask);
      sort_rest<T, false>(band, g, x, bias, y, mask);
    }
    x += band.rows * r.channels();
    y += band.rows * r.channels();
    if (mask != nullptr) mask += band.rows * r.mask_bytes();
  }
}

template <class T>
ISOTAPE_INLINE void swap(const PairRows& r, const T* x, const std::uint8_t* mask, T* y, T* sums) {
  if (sums != nullptr) std::fill_n(sums, r.channels(), T{0});
  PairRows band = r;
  for (std::int64_t row = 0; row < r.rows; row += band.rows) {
    band.rows = std::min(band_rows(r.channels()), r.rows - row);
    if (r.adjacent) {
      swap_rest<T, true>(band, 0, x, mask, y, sums);
    } else {
      std::int64_t g = 0;
      for (; g + eight <= r.half; g += eight) swap_column<T>(band, g, x, mask, y, sums);
      swap_rest<T, false>(band, g, x, mask, y, sums);
    }
    x += band.rows * r.channels();
    y += band.rows * r.channels();
    mask += band.rows * r.mask_bytes();
  }
}

}  // namespace

ISOTAPE_CLONES void sort_pairs(const PairRows& p, const float* x, const float* bias, float* y,
                               std::uint8_t* mask) {
  sort<float>(p, x, bias, y, mask);
}

ISOTAPE_CLONES void sort_pairs(const PairRows& p, const double* x, const double* bias, double* y,
                               std::uint8_t* mask) {
  sort<double>(p, x, bias, y, mask);
}

ISOTAPE_CLONES void swap_pairs(const PairRows& p, const float* x, const std::uint8_t* mask,
                               float* y, float* sums) {
  swap<float>(p, x, mask, y, sums);
}

ISOTAPE_CLONES void swap_pairs(const PairRows& p, const double* x, const std::uint8_t* mask,
                               double* y, double* sums) {
  swap<double>(p, x, mask, y, sums);
}

}  // namespace isotape
