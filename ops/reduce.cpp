#include <isotape/ops/reduce.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/broadcast.hpp>

namespace isotape {
namespace {

const Op sum_op("sum");
const Op mean_op("mean");
const Op norm_op("norm");

constexpr std::int64_t grain = 1 << 15;

// x as [outer, n, inner], reduced over n to y as [outer, inner].
struct Layout {
  Shape x, y;
  std::int64_t outer, n, inner;
};

Layout whole(const Shape& shape) { return {shape, {}, 1, shape.size(), 1}; }

Layout along(const Op& op, const Shape& shape, int axis) {
  const int rank = shape.rank();
  require<ShapeError>(-rank <= axis && axis < rank, op.name(), ": expected an axis of ", shape,
                      ", got ", axis);
  std::vector<std::int64_t> rest(shape.begin(), shape.end());
  rest.erase(rest.begin() + (axis < 0 ? axis + rank : axis));
  return {shape, Shape(rest), shape.outer(axis), shape[axis], shape.inner(axis)};
}

std::int64_t grain_of_blocks(const Layout& layout) {
  return grain / std::max<std::int64_t>(layout.n * layout.inner, 1) + 1;
}

// y_i = factor times the sum over k of x_(k inner + i)
template <class T>
void sum_block(const T* x, std::int64_t n, std::int64_t inner, double factor, double* y) {
  if (inner == 1) {
    double total = 0;
#pragma omp simd reduction(+ : total)
    for (std::int64_t k = 0; k < n; ++k) total += static_cast<double>(x[k]);
    y[0] = factor * total;
    return;
  }
  std::fill_n(y, inner, 0.0);
  for (std::int64_t k = 0; k < n; ++k, x += inner) {
#pragma omp simd
    for (std::int64_t i = 0; i < inner; ++i) y[i] += static_cast<double>(x[i]);
  }
  for (std::int64_t i = 0; i < inner; ++i) y[i] *= factor;
}

// factor times the sum over n
Tensor reduced(const Op& op, const Tensor& x, const Layout& layout, double factor) {
  const std::int64_t n = layout.n;
  const std::int64_t inner = layout.inner;
  if (layout.outer == 1) {
    return sum_to(x.reshaped({n, inner}), {inner}, factor).reshaped(layout.y);
  }
  Tensor sums(layout.y, DType::f64);
  dispatch_float(x.dtype(), op.name(), [&]<class T>() {
    const T* source = x.data<T>();
    auto* target = sums.write<double>();
    const auto sum_blocks = [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t o = begin; o < end; ++o) {
        sum_block(source + o * n * inner, n, inner, factor, target + o * inner);
      }
    };
    parallel_for(layout.outer, grain_of_blocks(layout), sum_blocks);
  });
  return sums.to(x.dtype());
}

// The transpose: factor times dy, repeated n times.
Tensor spread(const Op& op, const Tensor& dy, const Layout& layout, double factor) {
  Tensor grad(layout.x, dy.dtype());
  dispatch_float(dy.dtype(), op.name(), [&]<class T>() {
    const T* source = dy.data<T>();
    T* target = grad.write<T>();
    const std::int64_t n = layout.n;
    const std::int64_t inner = layout.inner;
    const T weight = static_cast<T>(factor);
    const auto fill_rows = [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const T* from = source + row / n * inner;
#pragma omp simd
        for (std::int64_t i = 0; i < inner; ++i) target[row * inner + i] = weight * from[i];
      }
    };
    parallel_for(layout.outer * n, grain / std::max<std::int64_t>(inner, 1) + 1, fill_rows);
  });
  return grad;
}

void require_float(const Op& op, const Var& x) {
  require<ShapeError>(x.dtype() != DType::u8, op.name(), ": expected f32 or f64, got u8");
}

Var reduce(const Op& op, const Var& x, const Layout& layout, double factor) {
  require_float(op, x);
  return record(
      op, reduced(op, x.value(), layout, factor), {x}, {},
      [&op, layout, factor](const Tensor& dy, Needs) -> Grads<1> {
        return {spread(op, dy, layout, factor)};
      },
      [&op, layout, factor](const Tangents<1>& dx) { return reduced(op, dx[0], layout, factor); });
}

Var reduce_mean(const Var& x, const Layout& layout) {
  require<ShapeError>(layout.n > 0, "mean: expected at least one entry to take the mean of, got ",
                      layout.x);
  return reduce(mean_op, x, layout, 1 / static_cast<double>(layout.n));
}

// The squares of entries beyond 1e150 overflow in f64, those below 1e-150 vanish: then the largest
// entry is taken out first.
double safe_norm(const Tensor& x) {
  const double plain = frobenius_norm(x);
  if (1e-150 <= plain && plain <= 1e150) return plain;
  const double largest = max_abs(x);
  if (largest == 0 || !std::isfinite(largest)) return largest;
  double sum = 0;
  for (std::int64_t i = 0; i < x.size(); ++i) sum += x.at(i) / largest * (x.at(i) / largest);
  return largest * std::sqrt(sum);
}

}  // namespace

Var sum(const Var& x) { return reduce(sum_op, x, whole(x.shape()), 1); }

Var sum(const Var& x, int axis) { return reduce(sum_op, x, along(sum_op, x.shape(), axis), 1); }

Var mean(const Var& x) { return reduce_mean(x, whole(x.shape())); }

Var mean(const Var& x, int axis) { return reduce_mean(x, along(mean_op, x.shape(), axis)); }

Var norm(const Var& x_var) {
  require_float(norm_op, x_var);
  const Tensor& x = x_var.value();
  const double y = safe_norm(x);

  // grad_x = dy x / y,   the quotient first, for it is at most 1
  auto vjp = [x, y](const Tensor& dy, Needs) -> Grads<1> {
    if (y == 0) return {Tensor::zeros(x.shape(), x.dtype())};
    Tensor grad(x.shape(), x.dtype());
    dispatch_float(x.dtype(), "norm", [&]<class T>() {
      const T* source = x.data<T>();
      T* target = grad.write<T>();
      const double factor = dy.item();
      parallel_for(x.size(), grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          target[i] = static_cast<T>(static_cast<double>(source[i]) / y * factor);
        }
      });
    });
    return {grad};
  };
  auto jvp = [x, y](const Tangents<1>& dx) {
    return Tensor::full({}, y == 0 ? 0 : dot(x, dx[0]) / y, x.dtype());
  };
  return record(norm_op, Tensor::full({}, y, x.dtype()), {x_var}, {x}, std::move(vjp),
                std::move(jvp));
}

}  // namespace isotape
