#include <isotape/ops/center.hpp>

#include <algorithm>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

const Op center_op("center");

constexpr std::int64_t elements_worth_a_thread = 1 << 15;

Tensor centered(const Tensor& x, int axis) {
  const std::int64_t n = x.shape()[axis];
  const std::int64_t inner = x.shape().inner(axis < 0 ? axis + x.rank() : axis);
  Tensor y(x.shape(), x.dtype());
  dispatch_float(x.dtype(), "center", [&]<class T>() {
    const T* const source = x.data<T>();
    T* const target = y.write<T>();
    const std::int64_t block = n * inner;
    const std::int64_t blocks = block == 0 ? 0 : x.size() / block;
    parallel_for(blocks, elements_worth_a_thread / (block + 1) + 1,
                 [&](std::int64_t begin, std::int64_t end) {
                   std::vector<double> mean(static_cast<std::size_t>(inner));
                   for (std::int64_t b = begin * block; b < end * block; b += block) {
                     std::fill(mean.begin(), mean.end(), 0.0);
                     for (std::int64_t i = 0; i < block; ++i) {
                       mean[i % inner] += static_cast<double>(source[b + i]);
                     }
                     for (double& m : mean) m /= static_cast<double>(n);
                     for (std::int64_t i = 0; i < block; ++i) {
                       target[b + i] =
                           static_cast<T>(static_cast<double>(source[b + i]) - mean[i % inner]);
                     }
                   }
                 });
  });
  return y;
}

}  // namespace

// A symmetric matrix: it is its own transpose.
Var center(const Var& x_var, int axis) {
  const Tensor& x = x_var.value();
  const int rank = x.rank();
  require<ShapeError>(-rank <= axis && axis < rank && x.dim(axis) > 0,
                      "center: expected an axis with entries of ", x.shape(), ", got ", axis);
  return record(
      center_op, centered(x, axis), {x_var}, {},
      [axis](const Tensor& dy, Needs) -> Grads<1> { return {centered(dy, axis)}; },
      [axis](const Tangents<1>& dx) { return centered(dx[0], axis); });
}

}  // namespace isotape
