#include <isotape/ops/group_sort_kernel.hpp>

#include <algorithm>
#include <cstring>

#include <isotape/core/isa.hpp>
#include <isotape/ops/eight_lanes.hpp>

namespace isotape {
namespace {

constexpr int largest = GroupRows::largest;

using Bytes = std::uint8_t __attribute__((vector_size(eight)));

// ---- split groups, eight at a time. `fixed` is their size, or 0 for any.

template <class T, int fixed>
ISOTAPE_INLINE void sort_column(const GroupRows& r, std::int64_t g, const T* x, const T* bias, T* y,
                                std::uint8_t* sources) {
  using Values = typename Vectors<T>::Values;
  using Mask = typename Vectors<T>::Mask;
  const int size = fixed > 0 ? fixed : static_cast<int>(r.size);
  Values shift[fixed > 0 ? fixed : largest] = {};
  for (int i = 0; bias != nullptr && i < size; ++i) {
    std::memcpy(&shift[i], bias + i * r.count + g, sizeof(Values));
  }
  for (std::int64_t row = 0; row < r.rows; ++row) {
    const std::int64_t at = row * r.channels() + g;
    Values v[fixed > 0 ? fixed : largest];
    Mask source[fixed > 0 ? fixed : largest];
    for (int i = 0; i < size; ++i) {
      std::memcpy(&v[i], x + at + i * r.count, sizeof(Values));
      if (bias != nullptr) v[i] += shift[i];
      source[i] = Mask{} + i;
    }
    for (int end = size - 1; end > 0; --end) {  // neighbours change places: stable
      for (int i = 0; i < end; ++i) {
        const Values a = v[i];
        const Values b = v[i + 1];
        // b goes before a, which stands before it: a tie stays, a NaN counts as largest.
        const Mask swap = ~(a >= b) & (a == a);  // NOLINT: not equal to itself is NaN
        v[i] = swap ? b : a;
        v[i + 1] = swap ? a : b;
        const Mask source_a = source[i];
        source[i] = swap ? source[i + 1] : source_a;
        source[i + 1] = swap ? source_a : source[i + 1];
      }
    }
    for (int i = 0; i < size; ++i) std::memcpy(y + at + i * r.count, &v[i], sizeof(Values));
    if (sources == nullptr) continue;
    for (int i = 0; i < size; ++i) {
      const Bytes bytes = __builtin_convertvector(source[i], Bytes);
      std::memcpy(sources + at + i * r.count, &bytes, sizeof(Bytes));
    }
  }
}

template <class T, int fixed>
ISOTAPE_INLINE void unsort_column(const GroupRows& r, std::int64_t g, const T* x,
                                  const std::uint8_t* sources, T* y, T* sums) {
  using Values = typename Vectors<T>::Values;
  using Mask = typename Vectors<T>::Mask;
  const int size = fixed > 0 ? fixed : static_cast<int>(r.size);
  Values sum[fixed > 0 ? fixed : largest] = {};
  for (std::int64_t row = 0; row < r.rows; ++row) {
    const std::int64_t at = row * r.channels() + g;
    Values v[fixed > 0 ? fixed : largest];
    Mask source[fixed > 0 ? fixed : largest];
    for (int i = 0; i < size; ++i) {
      Bytes bytes;
      std::memcpy(&v[i], x + at + i * r.count, sizeof(Values));
      std::memcpy(&bytes, sources + at + i * r.count, sizeof(Bytes));
      source[i] = __builtin_convertvector(bytes, Mask);
    }
    for (int i = 0; i < size; ++i) {
      Values value = v[0];
      for (int place = 1; place < size; ++place) value = source[place] == i ? v[place] : value;
      std::memcpy(y + at + i * r.count, &value, sizeof(Values));
      sum[i] += value;
    }
  }
  for (int i = 0; sums != nullptr && i < size; ++i) {
    for (int lane = 0; lane < eight; ++lane) sums[i * r.count + g + lane] += sum[i][lane];
  }
}

// ---- the groups behind the last eight, and adjacent ones: one by one

template <class T>
ISOTAPE_INLINE void sort_rest(const GroupRows& r, std::int64_t first, const T* x, const T* bias,
                              T* y, std::uint8_t* sources) {
  for (std::int64_t row = 0; row < r.rows; ++row) {
    for (std::int64_t g = first; g < r.count; ++g) {
      T v[largest];
      std::uint8_t source[largest];
      for (std::int64_t i = 0; i < r.size; ++i) {
        const std::int64_t channel = i * r.rank() + g * r.group();
        const T a = x[row * r.channels() + channel];
        const T value = bias != nullptr ? a + bias[channel] : a;
        std::int64_t place = i;
        for (; place > 0; --place) {
          const T before = v[place - 1];
          if (before >= value || before != before) break;  // NOLINT: as above
          v[place] = before;
          source[place] = source[place - 1];
        }
        v[place] = value;
        source[place] = static_cast<std::uint8_t>(i);
      }
      for (std::int64_t i = 0; i < r.size; ++i) {
        const std::int64_t at = row * r.channels() + i * r.rank() + g * r.group();
        y[at] = v[i];
        if (sources != nullptr) sources[at] = source[i];
      }
    }
  }
}

template <class T>
ISOTAPE_INLINE void unsort_rest(const GroupRows& r, std::int64_t first, const T* x,
                                const std::uint8_t* sources, T* y, T* sums) {
  for (std::int64_t row = 0; row < r.rows; ++row) {
    for (std::int64_t g = first; g < r.count; ++g) {
      const std::int64_t at = row * r.channels() + g * r.group();
      T v[largest];
      for (std::int64_t i = 0; i < r.size; ++i)
        v[sources[at + i * r.rank()]] = x[at + i * r.rank()];
      for (std::int64_t i = 0; i < r.size; ++i) {
        y[at + i * r.rank()] = v[i];
        if (sums != nullptr) sums[g * r.group() + i * r.rank()] += v[i];
      }
    }
  }
}

// ---- bands of rows

template <class T, int fixed>
ISOTAPE_INLINE void sort(const GroupRows& r, const T* x, const T* bias, T* y,
                         std::uint8_t* sources) {
  GroupRows band = r;
  for (std::int64_t row = 0; row < r.rows; row += band.rows) {
    band.rows = std::min(band_rows(r.channels()), r.rows - row);
    std::int64_t g = 0;
    if (!r.adjacent) {
      for (; g + eight <= r.count; g += eight) sort_column<T, fixed>(band, g, x, bias, y, sources);
    }
    sort_rest<T>(band, g, x, bias, y, sources);
    x += band.rows * r.channels();
    y += band.rows * r.channels();
    if (sources != nullptr) sources += band.rows * r.channels();
  }
}

template <class T, int fixed>
ISOTAPE_INLINE void unsort(const GroupRows& r, const T* x, const std::uint8_t* sources, T* y,
                           T* sums) {
  if (sums != nullptr) std::fill_n(sums, r.channels(), T{0});
  GroupRows band = r;
  for (std::int64_t row = 0; row < r.rows; row += band.rows) {
    band.rows = std::min(band_rows(r.channels()), r.rows - row);
    std::int64_t g = 0;
    if (!r.adjacent) {
      for (; g + eight <= r.count; g += eight) {
        unsort_column<T, fixed>(band, g, x, sources, y, sums);
      }
    }
    unsort_rest<T>(band, g, x, sources, y, sums);
    x += band.rows * r.channels();
    y += band.rows * r.channels();
    sources += band.rows * r.channels();
  }
}

// Groups of four, whose values stay in registers, and all others.
template <class T>
ISOTAPE_INLINE void sort(const GroupRows& r, const T* x, const T* bias, T* y,
                         std::uint8_t* sources) {
  r.size == 4 ? sort<T, 4>(r, x, bias, y, sources) : sort<T, 0>(r, x, bias, y, sources);
}
template <class T>
ISOTAPE_INLINE void unsort(const GroupRows& r, const T* x, const std::uint8_t* sources, T* y,
                           T* sums) {
  r.size == 4 ? unsort<T, 4>(r, x, sources, y, sums) : unsort<T, 0>(r, x, sources, y, sums);
}

}  // namespace

ISOTAPE_CLONES void sort_groups(const GroupRows& r, const float* x, const float* bias, float* y,
                                std::uint8_t* sources) {
  sort<float>(r, x, bias, y, sources);
}

ISOTAPE_CLONES void sort_groups(const GroupRows& r, const double* x, const double* bias, double* y,
                                std::uint8_t* sources) {
  sort<double>(r, x, bias, y, sources);
}

ISOTAPE_CLONES void unsort_groups(const GroupRows& r, const float* x, const std::uint8_t* sources,
                                  float* y, float* sums) {
  unsort<float>(r, x, sources, y, sums);
}

ISOTAPE_CLONES void unsort_groups(const GroupRows& r, const double* x, const std::uint8_t* sources,
                                  double* y, double* sums) {
  unsort<double>(r, x, sources, y, sums);
}

}  // namespace isotape
