#include <isotape/ops/maxout.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

const Op maxout_op("maxout");

constexpr std::int64_t elements_worth_a_thread = 1 << 15;

// Member i of group g is channel i * rank + g * group.
struct Groups {
  std::int64_t channels, size, count, rank, group;
};

// Calls f(n, at) for every output n, whose group's first member is input `at`.
template <class F>
void for_groups(const Groups& groups, std::int64_t rows, F&& f) {
  parallel_for(rows, elements_worth_a_thread / (groups.channels + 1) + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   for (std::int64_t g = 0; g < groups.count; ++g) {
                     f(row * groups.count + g, row * groups.channels + g * groups.group);
                   }
                 }
               });
}

// Of the earliest largest member of the group that begins at x.
template <class T>
std::int64_t winner(const Groups& groups, const T* x) {
  std::int64_t best = 0;
  for (std::int64_t i = 1; i < groups.size; ++i) {
    const T old = x[best * groups.rank];
    if (!(old >= x[i * groups.rank]) && !std::isnan(old)) best = i;
  }
  return best * groups.rank;
}

// y_n = v at the winner of x's group n
Tensor gathered(const Groups& groups, const Tensor& x, const Tensor& v) {
  Tensor y(x.shape().with(-1, groups.count), x.dtype());
  dispatch_float(x.dtype(), "maxout", [&]<class T>() {
    const T* const keys = x.data<T>();
    const T* const values = v.data<T>();
    T* const out = y.write<T>();
    for_groups(groups, x.shape().outer(-1), [&](std::int64_t n, std::int64_t at) {
      out[n] = values[at + winner(groups, keys + at)];
    });
  });
  return y;
}

// The transpose.
Tensor scattered(const Groups& groups, const Tensor& x, const Tensor& dy) {
  Tensor dx = Tensor::zeros(x.shape(), x.dtype());
  dispatch_float(x.dtype(), "maxout", [&]<class T>() {
    const T* const keys = x.data<T>();
    const T* const values = dy.data<T>();
    T* const out = dx.write<T>();
    for_groups(groups, x.shape().outer(-1), [&](std::int64_t n, std::int64_t at) {
      out[at + winner(groups, keys + at)] = values[n];
    });
  });
  return dx;
}

}  // namespace

Var maxout(const Var& x_var, int size, Pairing pairing) {
  const Tensor& x = x_var.value();
  require<ValueError>(size >= 1, "maxout: expected a group size >= 1, got ", size);
  require<ShapeError>(x.rank() >= 1 && x.dim(-1) % size == 0,
                      "maxout: expected x of shape [..., C] with C a multiple of the group size ",
                      size, ", got ", x.shape());
  const std::int64_t channels = x.dim(-1);
  const std::int64_t count = channels / size;
  const bool split = pairing == Pairing::split;
  const Groups groups{channels, size, count, split ? count : 1, split ? 1 : size};

  // The Jacobian selects the winners, which x itself tells again.
  return record(
      maxout_op, gathered(groups, x, x), {x_var}, {x},
      [groups, x](const Tensor& dy, Needs) -> Grads<1> { return {scattered(groups, x, dy)}; },
      [groups, x](const Tangents<1>& dx) { return gathered(groups, x, dx[0]); });
}

}  // namespace isotape
