#include <isotape/ops/group_sort.hpp>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/ops/group_sort_kernel.hpp>
#include <isotape/ops/row_blocks.hpp>

namespace isotape {
namespace {

const Op group_sort_op("group_sort");

constexpr int largest_byte_member = 256;

void check(const Tensor& x, const Tensor& bias, int size) {
  require<ValueError>(size >= 1, "group_sort: expected a group size >= 1, got ", size);
  require<ShapeError>(
      x.rank() >= 1 && x.dim(-1) % size == 0,
      "group_sort: expected x of shape [..., C] with C a multiple of the group size ", size,
      ", got ", x.shape());
  require_bias("group_sort", x, bias);
}

// Which member of its group is at each place is kept as a byte, or for groups beyond 256 as a
// float, exact below 2^24.
template <class F>
void dispatch_sources(std::int64_t size, F&& f) {
  if (size <= largest_byte_member) {
    f.template operator()<std::uint8_t>();
  } else {
    f.template operator()<float>();
  }
}

// Calls f(a) for every group of the rows, a being the index of its first member.
template <class F>
void for_groups(const GroupRows& r, F&& f) {
  for (std::int64_t row = 0; row < r.rows; ++row) {
    for (std::int64_t g = 0; g < r.count; ++g) f(row * r.channels() + g * r.group());
  }
}

template <class T>
struct Member {
  T value;
  int index;
  // A total order, so that the sort is stable; a NaN counts as larger than every number.
  friend bool operator<(const Member& a, const Member& b) {
    const bool overtakes = !(b.value >= a.value) && !std::isnan(b.value);
    const bool is_overtaken = !(a.value >= b.value) && !std::isnan(a.value);
    return overtakes || (!is_overtaken && a.index < b.index);
  }
};

// sort_groups for large groups.
template <class T, class Index>
void sort_large_groups(const GroupRows& r, const T* x, const T* bias, T* y, Index* sources) {
  std::vector<Member<T>> members(static_cast<std::size_t>(r.size));
  for_groups(r, [&](std::int64_t first) {
    for (std::int64_t i = 0; i < r.size; ++i) {
      const std::int64_t at = first + i * r.rank();
      members[i] = {bias != nullptr ? x[at] + bias[at % r.channels()] : x[at], static_cast<int>(i)};
    }
    std::sort(members.begin(), members.end());
    for (std::int64_t i = 0; i < r.size; ++i) {
      y[first + i * r.rank()] = members[i].value;
      if (sources != nullptr) sources[first + i * r.rank()] = static_cast<Index>(members[i].index);
    }
  });
}

// unsort_groups for large groups.
template <class T, class Index>
void unsort_large_groups(const GroupRows& r, const T* x, const Index* sources, T* y, T* sums) {
  if (sums != nullptr) std::fill_n(sums, r.channels(), T{0});
  std::vector<T> members(static_cast<std::size_t>(r.size));
  for_groups(r, [&](std::int64_t first) {
    for (std::int64_t i = 0; i < r.size; ++i) {
      const std::int64_t at = first + i * r.rank();
      members[static_cast<std::size_t>(sources[at])] = x[at];
    }
    for (std::int64_t i = 0; i < r.size; ++i) {
      const std::int64_t at = first + i * r.rank();
      y[at] = members[i];
      if (sums != nullptr) sums[at % r.channels()] += members[i];
    }
  });
}

// y = x in the order of the sources; y may be x.
template <class T, class Index>
void gather_groups(const GroupRows& r, const T* x, const Index* sources, T* y) {
  std::vector<T> members(static_cast<std::size_t>(r.size));
  for_groups(r, [&](std::int64_t first) {
    for (std::int64_t i = 0; i < r.size; ++i) members[i] = x[first + i * r.rank()];
    for (std::int64_t i = 0; i < r.size; ++i) {
      const std::int64_t at = first + i * r.rank();
      y[at] = members[static_cast<std::size_t>(sources[at])];
    }
  });
}

GroupRows with_rows(GroupRows r, std::int64_t rows) {
  r.rows = rows;
  return r;
}

// y = sorted groups of x + bias; sources, if there are any, get where each value was.
void sort_all(const GroupRows& r, const Tensor& x, const Tensor& bias, Tensor& y, Tensor& sources) {
  dispatch_float(x.dtype(), "group_sort", [&]<class T>() {
    dispatch_sources(r.size, [&]<class Index>() {
      const T* from = x.data<T>();
      const T* shift = bias ? bias.data<T>() : nullptr;
      T* to = y.write<T>();
      auto* kept = sources ? sources.write<Index>() : nullptr;
      for_row_blocks(r.rows, r.channels(), r.size, [&](std::int64_t first, std::int64_t rows) {
        const std::int64_t at = first * r.channels();
        auto* block = kept == nullptr ? nullptr : kept + at;
        if constexpr (std::is_same_v<Index, std::uint8_t>) {
          if (r.size <= GroupRows::largest) {
            return sort_groups(with_rows(r, rows), from + at, shift, to + at, block);
          }
        }
        sort_large_groups(with_rows(r, rows), from + at, shift, to + at, block);
      });
    });
  });
}

// y = x, every value back where it came from; returns the sum of y's rows where asked to.
Tensor unsort_all(const GroupRows& r, const Tensor& x, const Tensor& sources, Tensor& y,
                  bool with_sum) {
  Tensor sum;
  dispatch_float(x.dtype(), "group_sort", [&]<class T>() {
    dispatch_sources(r.size, [&]<class Index>() {
      const T* from = x.data<T>();
      T* to = y.write<T>();
      const auto* kept = sources.data<Index>();
      const auto unsort = [&](std::int64_t first, std::int64_t rows, T* sums) {
        const std::int64_t at = first * r.channels();
        if constexpr (std::is_same_v<Index, std::uint8_t>) {
          if (r.size <= GroupRows::largest) {
            return unsort_groups(with_rows(r, rows), from + at, kept + at, to + at, sums);
          }
        }
        unsort_large_groups(with_rows(r, rows), from + at, kept + at, to + at, sums);
      };
      sum = summed_row_blocks<T>(r.rows, r.channels(), with_sum, unsort);
    });
  });
  return sum;
}

// x in the order of the sources, in its own memory.
Tensor gathered(const GroupRows& r, Tensor x, const Tensor& sources) {
  dispatch_float(x.dtype(), "group_sort", [&]<class T>() {
    dispatch_sources(r.size, [&]<class Index>() {
      T* const values = x.write<T>();
      const auto* kept = sources.data<Index>();
      for_row_blocks(r.rows, r.channels(), 2, [&](std::int64_t first, std::int64_t rows) {
        const std::int64_t at = first * r.channels();
        gather_groups(with_rows(r, rows), values + at, kept + at, values + at);
      });
    });
  });
  return x;
}

}  // namespace

// x is taken by value: only so can it be the last handle.
// NOLINTNEXTLINE(performance-unnecessary-value-param)
Var bias_group_sort(Var x_var, const Var& bias_var, int size, Pairing pairing) {
  const Tensor& x = x_var.value();
  const Tensor& bias = bias_var.value();
  check(x, bias, size);
  const GroupRows r{row_count(x), size, x.dim(-1) / size, pairing == Pairing::adjacent};
  Tensor sources;
  if (is_recording({x_var, bias_var})) {
    sources = Tensor(x.shape(), size <= largest_byte_member ? DType::u8 : DType::f32);
  }
  Tensor y = result_for(x);
  sort_all(r, x, bias, y, sources);

  // With S the permutation that sorted x + bias: y = S (x + bias), grad_x = S^T dy,
  // grad_bias = sum of the rows of grad_x.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): as above
  auto vjp = [r, sources](Tensor dy, Needs needs) -> Grads<2> {
    Tensor dx = result_for(dy);
    Tensor sum = unsort_all(r, dy, sources, dx, needs(1));
    return {needs(0) ? std::move(dx) : Tensor(), std::move(sum)};
  };
  auto jvp = [r, sources, shape = x.shape()](const Tangents<2>& d) {
    return gathered(r, shifted(shape, d[0], d[1]), sources);
  };
  return record(group_sort_op, std::move(y), {x_var, bias_var}, {}, std::move(vjp), std::move(jvp));
}

Var group_sort(Var x, int size, Pairing pairing) {
  return bias_group_sort(std::move(x), {}, size, pairing);
}

Var bias_full_sort(Var x, const Var& bias) {
  require<ShapeError>(x.shape().rank() >= 1, "full_sort: expected x of shape [..., C], got ",
                      x.shape());
  const auto size = static_cast<int>(std::max<std::int64_t>(x.dim(-1), 1));
  return bias_group_sort(std::move(x), bias, size, Pairing::adjacent);
}

Var full_sort(Var x) { return bias_full_sort(std::move(x), {}); }

}  // namespace isotape
