#include <isotape/ops/group_sort.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

const Op group_sort_op("group_sort");
const Op max_min_op("max_min");

constexpr std::int64_t elements_worth_a_thread = 1 << 15;
constexpr int largest_byte_rank = 256;

// Calls f(row) for every row of `channels` elements.
template <class F>
void for_each_row(const Tensor& x, F&& f) {
  const std::int64_t channels = std::max<std::int64_t>(x.dim(-1), 1);
  parallel_for(x.size() / channels, elements_worth_a_thread / channels + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) f(row);
               });
}

// Whether b goes before a, which stands before it: a tie stays, a NaN counts as largest.
template <class T>
bool overtakes(T b, T a) {
  return !(a >= b) & !std::isnan(a);  // & and not &&: no branch in the vectorised loops
}

// ---- pairs

template <Pairing pairing, class T>
void sort_pairs(std::int64_t half, const T* x, T* y, std::uint8_t* swapped) {
  constexpr std::int64_t stride = pairing == Pairing::adjacent ? 2 : 1;
  const std::int64_t other = pairing == Pairing::adjacent ? 1 : half;
#pragma omp simd
  for (std::int64_t g = 0; g < half; ++g) {
    const T a = x[stride * g];
    const T b = x[stride * g + other];
    const bool swap = overtakes(b, a);
    y[stride * g] = swap ? b : a;
    y[stride * g + other] = swap ? a : b;
    swapped[g] = static_cast<std::uint8_t>(swap);
  }
}

// The Jacobian of sort_pairs, its own transpose; y may be x.
template <Pairing pairing, class T>
void swap_pairs(std::int64_t half, const T* x, T* y, const std::uint8_t* swapped) {
  constexpr std::int64_t stride = pairing == Pairing::adjacent ? 2 : 1;
  const std::int64_t other = pairing == Pairing::adjacent ? 1 : half;
#pragma omp simd
  for (std::int64_t g = 0; g < half; ++g) {
    const T a = x[stride * g];
    const T b = x[stride * g + other];
    const bool swap = swapped[g] != 0;
    y[stride * g] = swap ? b : a;
    y[stride * g + other] = swap ? a : b;
  }
}

void sort_all_pairs(Pairing pairing, const Tensor& x_tensor, Tensor& y_tensor, Tensor& mask) {
  const std::int64_t half = x_tensor.dim(-1) / 2;
  dispatch_float(x_tensor.dtype(), "max_min", [&]<class T>() {
    const T* x = x_tensor.data<T>();
    T* y = y_tensor.write<T>();
    auto* swapped = mask.write<std::uint8_t>();
    for_each_row(x_tensor, [&](std::int64_t row) {
      const std::int64_t at = row * 2 * half;
      if (pairing == Pairing::split) {
        sort_pairs<Pairing::split>(half, x + at, y + at, swapped + row * half);
      } else {
        sort_pairs<Pairing::adjacent>(half, x + at, y + at, swapped + row * half);
      }
    });
  });
}

// In place where nobody else sees x.
Tensor swap_all_pairs(Pairing pairing, Tensor x_tensor, const Tensor& mask) {
  const std::int64_t half = x_tensor.dim(-1) / 2;
  Tensor y_tensor =
      x_tensor.unique() ? std::move(x_tensor) : Tensor(x_tensor.shape(), x_tensor.dtype());
  dispatch_float(y_tensor.dtype(), "max_min", [&]<class T>() {
    T* y = y_tensor.write<T>();
    const T* x = x_tensor ? x_tensor.data<T>() : y;
    const auto* swapped = mask.data<std::uint8_t>();
    for_each_row(y_tensor, [&](std::int64_t row) {
      const std::int64_t at = row * 2 * half;
      if (pairing == Pairing::split) {
        swap_pairs<Pairing::split>(half, x + at, y + at, swapped + row * half);
      } else {
        swap_pairs<Pairing::adjacent>(half, x + at, y + at, swapped + row * half);
      }
    });
  });
  return y_tensor;
}

// ---- groups of any size

// Member r of group g is channel r * rank + g * group.
struct Groups {
  std::int64_t size, count;
  std::int64_t rank, group;

  Groups(std::int64_t channels, std::int64_t members, Pairing pairing)
      : size(members), count(channels / members), rank(1), group(size) {
    if (pairing == Pairing::split) {
      rank = count;
      group = 1;
    }
  }
};

// y[place] = x[from], for every place and member of one row.
template <bool transposed, class T, class Index>
void permute_row(const Groups& groups, const T* x, T* y, const Index* order) {
  for (std::int64_t r = 0; r < groups.size; ++r) {
    for (std::int64_t g = 0; g < groups.count; ++g) {
      const std::int64_t place = r * groups.rank + g * groups.group;
      const std::int64_t from =
          static_cast<std::int64_t>(order[place]) * groups.rank + g * groups.group;
      if constexpr (transposed) {
        y[from] = x[place];
      } else {
        y[place] = x[from];
      }
    }
  }
}

// order[place] = which member of the group the value at that place was.
template <class T, class Index>
void sort_row(const Groups& groups, const T* x, T* y, Index* order, std::vector<int>& members) {
  for (std::int64_t g = 0; g < groups.count; ++g) {
    const T* const group = x + g * groups.group;
    for (int i = 0; i < groups.size; ++i) members[i] = i;
    std::sort(members.begin(), members.end(), [&](int i, int j) {
      const T a = group[i * groups.rank];
      const T b = group[j * groups.rank];
      return overtakes(a, b) || (!overtakes(b, a) && i < j);
    });
    for (std::int64_t r = 0; r < groups.size; ++r) {
      const std::int64_t place = r * groups.rank + g * groups.group;
      order[place] = static_cast<Index>(members[r]);
      y[place] = group[members[r] * groups.rank];
    }
  }
}

// The order is kept as bytes, or as floats, exact below 2^24, for groups beyond 256.
template <class F>
void dispatch_order(const Tensor& order, F&& f) {
  if (order.dtype() == DType::u8) {
    f.template operator()<std::uint8_t>();
  } else {
    f.template operator()<float>();
  }
}

template <bool transposed>
Tensor permuted(const Groups& groups, const Tensor& x_tensor, const Tensor& order) {
  Tensor y_tensor(x_tensor.shape(), x_tensor.dtype());
  dispatch_float(x_tensor.dtype(), "group_sort", [&]<class T>() {
    dispatch_order(order, [&]<class Index>() {
      const T* x = x_tensor.data<T>();
      T* y = y_tensor.write<T>();
      const Index* from = order.data<Index>();
      for_each_row(x_tensor, [&](std::int64_t row) {
        const std::int64_t at = row * x_tensor.dim(-1);
        permute_row<transposed>(groups, x + at, y + at, from + at);
      });
    });
  });
  return y_tensor;
}

void sort_groups(const Groups& groups, const Tensor& x_tensor, Tensor& y_tensor, Tensor& order) {
  const std::int64_t channels = x_tensor.dim(-1);
  dispatch_float(x_tensor.dtype(), "group_sort", [&]<class T>() {
    dispatch_order(order, [&]<class Index>() {
      const T* x = x_tensor.data<T>();
      T* y = y_tensor.write<T>();
      Index* from = order.write<Index>();
      const std::int64_t rows = x_tensor.size() / std::max<std::int64_t>(channels, 1);
      parallel_for(rows, elements_worth_a_thread / (16 * channels + 1) + 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     std::vector<int> members(static_cast<std::size_t>(groups.size));
                     for (std::int64_t row = begin; row < end; ++row) {
                       const std::int64_t at = row * channels;
                       sort_row(groups, x + at, y + at, from + at, members);
                     }
                   });
    });
  });
}

}  // namespace

Var max_min(const Var& x_var, Pairing pairing) {
  const Tensor& x = x_var.value();
  require<ShapeError>(x.rank() >= 1 && x.dim(-1) % 2 == 0,
                      "max_min: expected x of shape [..., C] with C even, got ", x.shape());
  Tensor y(x.shape(), x.dtype());
  Tensor mask(x.shape().with(-1, x.dim(-1) / 2), DType::u8);
  sort_all_pairs(pairing, x, y, mask);

  // The Jacobian swaps the pairs that the sort swapped: a permutation, its own inverse.
  return record(
      max_min_op, std::move(y), {x_var}, {},
      [pairing, mask](Tensor dy, Needs) -> Grads<1> {
        return {swap_all_pairs(pairing, std::move(dy), mask)};
      },
      [pairing, mask](const Tangents<1>& dx) { return swap_all_pairs(pairing, dx[0], mask); });
}

Var group_sort(const Var& x_var, int size, Pairing pairing) {
  const Tensor& x = x_var.value();
  require<ValueError>(size >= 1, "group_sort: expected a group size >= 1, got ", size);
  require<ShapeError>(
      x.rank() >= 1 && x.dim(-1) % size == 0,
      "group_sort: expected x of shape [..., C] with C a multiple of the group size ", size,
      ", got ", x.shape());
  const Groups groups(x.dim(-1), size, pairing);
  Tensor y(x.shape(), x.dtype());
  Tensor order(x.shape(), size <= largest_byte_rank ? DType::u8 : DType::f32);
  sort_groups(groups, x, y, order);

  // y[place] = x[order[place]]: the Jacobian is that permutation, and its transpose the inverse.
  return record(
      group_sort_op, std::move(y), {x_var}, {},
      [groups, order](const Tensor& dy, Needs) -> Grads<1> {
        return {permuted<true>(groups, dy, order)};
      },
      [groups, order](const Tangents<1>& dx) { return permuted<false>(groups, dx[0], order); });
}

}  // namespace isotape
