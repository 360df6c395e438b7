#include <isotape/ops/adjoint_kernel.hpp>

#include <algorithm>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/elementwise.hpp>

namespace isotape {
namespace {

const Op adjoint_kernel_op("adjoint_kernel");

// In tiles that fit the cache, of one group's channels at one tap.
template <class T>
Tensor adjoint(const Tensor& w, std::int64_t groups) {
  constexpr std::int64_t tile = 16;
  const std::int64_t taps = w.dim(1) * w.dim(2);
  const std::int64_t outputs = w.dim(0) / groups;
  const std::int64_t inputs = w.dim(3);
  Tensor y({inputs * groups, w.dim(1), w.dim(2), outputs}, w.dtype());
  const T* const from = w.data<T>();
  T* const to = y.write<T>();
  const auto move = [=](std::int64_t g, std::int64_t a, std::int64_t top) {
    for (std::int64_t left = 0; left < outputs; left += tile) {
      for (std::int64_t i = top; i < std::min(top + tile, inputs); ++i) {
        for (std::int64_t o = left; o < std::min(left + tile, outputs); ++o) {
          to[((g * inputs + i) * taps + taps - 1 - a) * outputs + o] =
              from[((g * outputs + o) * taps + a) * inputs + i];
        }
      }
    }
  };
  const std::int64_t strips = (inputs + tile - 1) / tile;
  const std::int64_t count = groups * taps * strips;
  parallel_for(count, 1 + 1024 / (outputs + 1), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) {
      move(k / strips / taps, k / strips % taps, k % strips * tile);
    }
  });
  return y;
}

}  // namespace

// A permutation of entries, and its own inverse: of O x I groups that of I x O.
Var adjoint_kernel(const Var& w_var, std::int64_t groups) {
  const Tensor& w = w_var.value();
  require<ShapeError>(w.rank() == 4 && w.size() > 0 && groups >= 1 && w.dim(0) % groups == 0,
                      "adjoint_kernel: expected w of shape [O, h, w, I/groups] and groups = ",
                      groups, " that divide O, got ", w.shape());
  return dispatch_float(w.dtype(), "adjoint_kernel", [&]<class T>() {
    return record(
        adjoint_kernel_op, adjoint<T>(w, groups), {w_var}, {},
        [groups](const Tensor& dy, Needs) -> Grads<1> { return {adjoint<T>(dy, groups)}; },
        [groups](const Tangents<1>& dw) { return adjoint<T>(dw[0], groups); });
  });
}

Var skew_kernel(const Var& w, std::int64_t groups) {
  const Shape& shape = w.shape();
  require<ShapeError>(shape.rank() == 4 && groups >= 1 && shape[0] == shape[3] * groups &&
                          shape[1] % 2 == 1 && shape[2] % 2 == 1,
                      "skew_kernel: expected w of shape [C, h, w, C/groups] with groups = ", groups,
                      " and h, w odd, got ", shape);
  return sub(w, adjoint_kernel(w, groups));
}

}  // namespace isotape
