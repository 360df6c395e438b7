#include <isotape/ops/group_sort.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

const Op group_sort_op("group_sort");

constexpr std::int64_t elements_worth_a_thread = 1 << 15;
constexpr int largest_counted_group = 16;
constexpr int largest_byte_place = 256;

std::int64_t row_count(const Tensor& x) { return x.size() / std::max<std::int64_t>(x.dim(-1), 1); }

// Calls f(begin, end) for ranges of rows, in parallel; cost is that of one element.
template <class F>
void for_rows(const Tensor& x, std::int64_t cost, F&& f) {
  parallel_for(row_count(x), elements_worth_a_thread / (x.dim(-1) * cost + 1) + 1, f);
}

// Whether b goes before a, which stands before it: a tie stays, a NaN counts as largest.
template <class T>
bool overtakes(T b, T a) {
  return !(a >= b) & !std::isnan(a);  // & and not &&: no branch in the vectorised loops
}

// Member i of group g is channel i * rank + g * group.
struct Groups {
  std::int64_t size, count;
  std::int64_t rank, group;

  Groups(std::int64_t channels, std::int64_t members, Pairing pairing)
      : size(members),
        count(channels / members),
        rank(pairing == Pairing::split ? count : 1),
        group(pairing == Pairing::split ? 1 : size) {}
};

// Where every value goes within its group: the number of members that go before it. Small groups
// are counted, without a branch.
Tensor counted_places(const Groups& groups, const Tensor& x_tensor) {
  const std::int64_t channels = x_tensor.dim(-1);
  Tensor places_tensor = Tensor::zeros(x_tensor.shape(), DType::u8);
  dispatch_float(x_tensor.dtype(), "group_sort", [&]<class T>() {
    auto* const all_places = places_tensor.write<std::uint8_t>();
    for_rows(x_tensor, groups.size, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const T* const x = x_tensor.data<T>() + row * channels;
        auto* const places = all_places + row * channels;
        for (std::int64_t j = 1; j < groups.size; ++j) {
          for (std::int64_t i = 0; i < j; ++i) {
#pragma omp simd
            for (std::int64_t g = 0; g < groups.count; ++g) {
              const std::int64_t first = i * groups.rank + g * groups.group;
              const std::int64_t second = j * groups.rank + g * groups.group;
              const int swap = overtakes(x[second], x[first]) ? 1 : 0;
              places[first] = static_cast<std::uint8_t>(places[first] + swap);
              places[second] = static_cast<std::uint8_t>(places[second] + 1 - swap);
            }
          }
        }
      }
    });
  });
  return places_tensor;
}

// Places are kept as bytes, or for groups beyond 256 as floats, exact below 2^24.
template <class F>
void dispatch_places(const Tensor& places, F&& f) {
  if (places.dtype() == DType::u8) {
    f.template operator()<std::uint8_t>();
  } else {
    f.template operator()<float>();
  }
}

template <class T>
struct Member {
  T value;
  int index;
  friend bool operator<(const Member& a, const Member& b) {  // a total order: the sort is stable
    return overtakes(a.value, b.value) || (!overtakes(b.value, a.value) && a.index < b.index);
  }
};

// The same for large groups, by sorting.
Tensor sorted_places(const Groups& groups, const Tensor& x_tensor) {
  const std::int64_t channels = x_tensor.dim(-1);
  Tensor places_tensor(x_tensor.shape(),
                       groups.size <= largest_byte_place ? DType::u8 : DType::f32);
  dispatch_float(x_tensor.dtype(), "group_sort", [&]<class T>() {
    dispatch_places(places_tensor, [&]<class Index>() {
      auto* const places = places_tensor.write<Index>();
      for_rows(x_tensor, largest_counted_group, [&](std::int64_t begin, std::int64_t end) {
        std::vector<Member<T>> members(static_cast<std::size_t>(groups.size));
        for (std::int64_t n = begin * groups.count; n < end * groups.count; ++n) {
          const std::int64_t at = n / groups.count * channels + n % groups.count * groups.group;
          const T* const x = x_tensor.data<T>() + at;
          for (int i = 0; i < groups.size; ++i) members[i] = {x[i * groups.rank], i};
          std::sort(members.begin(), members.end());
          for (std::int64_t r = 0; r < groups.size; ++r) {
            places[at + members[r].index * groups.rank] = static_cast<Index>(r);
          }
        }
      });
    });
  });
  return places_tensor;
}

// y[places[i]] = x[i] in every group, or the transpose y[i] = x[places[i]].
template <bool transposed>
Tensor permuted(const Groups& groups, const Tensor& x_tensor, const Tensor& places_tensor) {
  const std::int64_t channels = x_tensor.dim(-1);
  Tensor y_tensor(x_tensor.shape(), x_tensor.dtype());
  dispatch_float(x_tensor.dtype(), "group_sort", [&]<class T>() {
    dispatch_places(places_tensor, [&]<class Index>() {
      const T* x = x_tensor.data<T>();
      T* y = y_tensor.write<T>();
      const auto* places = places_tensor.data<Index>();
      for_rows(x_tensor, 2, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t at = begin * channels; at < end * channels; at += channels) {
          for (std::int64_t i = 0; i < groups.size; ++i) {
            for (std::int64_t g = 0; g < groups.count; ++g) {
              const std::int64_t member = i * groups.rank + g * groups.group;
              const auto place = static_cast<std::int64_t>(places[at + member]);
              const std::int64_t target = place * groups.rank + g * groups.group;
              y[at + (transposed ? member : target)] = x[at + (transposed ? target : member)];
            }
          }
        }
      });
    });
  });
  return y_tensor;
}

}  // namespace

Var group_sort(const Var& x_var, int size, Pairing pairing) {
  const Tensor& x = x_var.value();
  require<ValueError>(size >= 1, "group_sort: expected a group size >= 1, got ", size);
  require<ShapeError>(
      x.rank() >= 1 && x.dim(-1) % size == 0,
      "group_sort: expected x of shape [..., C] with C a multiple of the group size ", size,
      ", got ", x.shape());
  const Groups groups(x.dim(-1), size, pairing);
  const Tensor places =
      size <= largest_counted_group ? counted_places(groups, x) : sorted_places(groups, x);

  // The Jacobian is the permutation that sorted x, and its transpose the inverse.
  return record(
      group_sort_op, permuted<false>(groups, x, places), {x_var}, {},
      [groups, places](const Tensor& dy, Needs) -> Grads<1> {
        return {permuted<true>(groups, dy, places)};
      },
      [groups, places](const Tangents<1>& dx) { return permuted<false>(groups, dx[0], places); });
}

Var full_sort(const Var& x) {
  require<ShapeError>(x.shape().rank() >= 1, "full_sort: expected x of shape [..., C], got ",
                      x.shape());
  return group_sort(x, static_cast<int>(std::max<std::int64_t>(x.dim(-1), 1)), Pairing::adjacent);
}

}  // namespace isotape
