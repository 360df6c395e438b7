#include <isotape/ops/pool.hpp>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reduce.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

const Op l2_pool_op("l2_pool");
const Op average_pool_op("average_pool");
const Op upsample_nearest_op("upsample_nearest");

constexpr std::int64_t elements_worth_a_thread = 1 << 14;

std::int64_t stride_of(const PoolOptions& options) {
  return options.stride == 0 ? options.kernel : options.stride;
}

// Input [n, height, width, channels], output [n, rows, columns, channels].
struct Windows {
  std::int64_t n, height, width, channels, rows, columns, kernel, stride;

  Windows(const Op& op, const Tensor& x, const PoolOptions& options)
      : kernel(options.kernel), stride(stride_of(options)) {
    require<ValueError>(kernel >= 1, op.name(), ": expected a kernel >= 1, got ", kernel);
    require<ValueError>(stride >= 1, op.name(), ": expected a stride >= 0, got ", options.stride);
    require<ShapeError>(x.rank() == 4 && x.dim(1) >= kernel && x.dim(2) >= kernel &&
                            (x.dim(1) - kernel) % stride == 0 && (x.dim(2) - kernel) % stride == 0,
                        op.name(), ": expected x of shape [N, H, W, C] with H and W of ", kernel,
                        " plus a multiple of ", stride, ", got ", x.shape());
    n = x.dim(0);
    height = x.dim(1);
    width = x.dim(2);
    channels = x.dim(3);
    rows = (height - kernel) / stride + 1;
    columns = (width - kernel) / stride + 1;
  }

  // Squares of s x s pixels of an image s times as large as x.
  Windows(const Tensor& x, std::int64_t s)
      : n(x.dim(0)),
        height(x.dim(1) * s),
        width(x.dim(2) * s),
        channels(x.dim(3)),
        rows(x.dim(1)),
        columns(x.dim(2)),
        kernel(s),
        stride(s) {}

  Shape input() const { return {n, height, width, channels}; }
  Shape output() const { return {n, rows, columns, channels}; }
};

// Calls f(y, x) with the offsets of every output pixel and of its window's first pixel, images in
// parallel (their windows may overlap).
template <class F>
void for_windows(const Windows& w, F&& f) {
  const std::int64_t image = w.height * w.width * w.channels;
  parallel_for(
      w.n, elements_worth_a_thread / (image + 1) + 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t p = begin * w.rows * w.columns; p < end * w.rows * w.columns; ++p) {
          const std::int64_t i = p / w.columns % w.rows * w.stride;
          const std::int64_t j = p % w.columns * w.stride;
          f(p * w.channels, ((p / (w.rows * w.columns) * w.height + i) * w.width + j) * w.channels);
        }
      });
}

// Calls f(offset) with the offset of every pixel of a window from its first.
template <class F>
void for_pixels(const Windows& w, F&& f) {
  for (std::int64_t a = 0; a < w.kernel; ++a) {
    for (std::int64_t b = 0; b < w.kernel; ++b) f((a * w.width + b) * w.channels);
  }
}

// The norm of one channel of a window whose squares overflow or vanish in f64.
template <class T>
double careful_norm(const Windows& w, const T* x) {
  double largest = 0;
  for_pixels(w, [&](std::int64_t at) {
    const double size = std::abs(double(x[at]));
    largest = size > largest || std::isnan(size) ? size : largest;
  });
  if (largest == 0 || !std::isfinite(largest)) return largest;
  double sum = 0;
  for_pixels(w, [&](std::int64_t at) {
    const double ratio = double(x[at]) / largest;
    sum += ratio * ratio;
  });
  return largest * std::sqrt(sum);
}

// |x| over each window, in f64.
Tensor norms(const Windows& w, const Tensor& x_tensor) {
  Tensor y_tensor(w.output(), DType::f64);
  dispatch_float(x_tensor.dtype(), "l2_pool", [&]<class T>() {
    const T* const x = x_tensor.data<T>();
    auto* const y = y_tensor.write<double>();
    for_windows(w, [&](std::int64_t to, std::int64_t from) {
      std::fill_n(y + to, w.channels, 0.0);
      for_pixels(w, [&](std::int64_t at) {
#pragma omp simd
        for (std::int64_t c = 0; c < w.channels; ++c) {
          const auto v = static_cast<double>(x[from + at + c]);
          y[to + c] += v * v;
        }
      });
      for (std::int64_t c = 0; c < w.channels; ++c) {
        const double square = y[to + c];
        const bool plain = 1e-290 <= square && square <= 1e290;
        y[to + c] = plain ? std::sqrt(square) : careful_norm(w, x + from + c);
      }
    });
  });
  return y_tensor;
}

template <class T>
T quotient(T x, double norm) {
  return norm == 0 ? T{0} : static_cast<T>(static_cast<double>(x) / norm);
}

// grad_x = sum over windows of (x / norm) dy factor
Tensor l2_gradient(const Windows& w, const Tensor& x_tensor, const Tensor& norm,
                   const Tensor& dy_tensor, double factor) {
  Tensor grad = Tensor::zeros(w.input(), x_tensor.dtype());
  dispatch_float(x_tensor.dtype(), "l2_pool", [&]<class T>() {
    const T* const x = x_tensor.data<T>();
    const T* const dy = dy_tensor.data<T>();
    const auto* const y = norm.data<double>();
    T* const out = grad.write<T>();
    for_windows(w, [&](std::int64_t to, std::int64_t from) {
      for_pixels(w, [&](std::int64_t at) {
        for (std::int64_t c = 0; c < w.channels; ++c) {
          const T share = quotient(x[from + at + c], y[to + c]) * static_cast<T>(factor);
          out[from + at + c] += share * dy[to + c];
        }
      });
    });
  });
  return grad;
}

// dy = factor sum over the window of (x / norm) dx
Tensor l2_tangent(const Windows& w, const Tensor& x_tensor, const Tensor& norm,
                  const Tensor& dx_tensor, double factor) {
  Tensor dy = Tensor::zeros(w.output(), x_tensor.dtype());
  dispatch_float(x_tensor.dtype(), "l2_pool", [&]<class T>() {
    const T* const x = x_tensor.data<T>();
    const T* const dx = dx_tensor.data<T>();
    const auto* const y = norm.data<double>();
    T* const out = dy.write<T>();
    for_windows(w, [&](std::int64_t to, std::int64_t from) {
      for_pixels(w, [&](std::int64_t at) {
        for (std::int64_t c = 0; c < w.channels; ++c) {
          const T share = quotient(x[from + at + c], y[to + c]) * static_cast<T>(factor);
          out[to + c] += share * dx[from + at + c];
        }
      });
    });
  });
  return dy;
}

// y = factor sum over the window, or the transpose.
template <bool transposed>
Tensor window_sums(const Windows& w, const Tensor& in, double factor) {
  Tensor result = Tensor::zeros(transposed ? w.input() : w.output(), in.dtype());
  dispatch_float(in.dtype(), "average_pool", [&]<class T>() {
    const T* const source = in.data<T>();
    T* const target = result.write<T>();
    const T weight = static_cast<T>(factor);
    for_windows(w, [&](std::int64_t to, std::int64_t from) {
      for_pixels(w, [&](std::int64_t at) {
        const std::int64_t read = transposed ? to : from + at;
        const std::int64_t write = transposed ? from + at : to;
#pragma omp simd
        for (std::int64_t c = 0; c < w.channels; ++c) {
          target[write + c] += weight * source[read + c];
        }
      });
    });
  });
  return result;
}

// A number of the type next to `value`, = 1 / sqrt(n), whose square times n does not exceed 1.
double rounded_down(double value, DType dtype, double n) {
  double factor = Tensor::full({}, value, dtype).item();
  for (;;) {
    // factor^2 = square + rest exactly, and the sign of square n - 1 is that of the fma.
    const double square = factor * factor;
    const double rest = std::fma(factor, factor, -square);
    const double excess = std::fma(square, n, -1.0);
    if (rest == 0 ? excess <= 0 : excess + rest * n < -1e-30) return factor;
    factor = dtype == DType::f32
                 ? static_cast<double>(std::nextafter(static_cast<float>(factor), 0.0F))
                 : std::nextafter(factor, 0.0);
  }
}

}  // namespace

std::int64_t pool_overlap(const PoolOptions& options) {
  const std::int64_t stride = stride_of(options);
  return (options.kernel + stride - 1) / stride;
}

std::int64_t pool_sum_norm(const PoolOptions& options) {
  const std::int64_t stride = stride_of(options);
  const std::int64_t quotient = options.kernel / stride;
  const std::int64_t rest = options.kernel % stride;
  return rest * (quotient + 1) * (quotient + 1) + (stride - rest) * quotient * quotient;
}

Var l2_pool(const Var& x_var, const PoolOptions& options) {
  const Tensor& x = x_var.value();
  const Windows w(l2_pool_op, x, options);
  const double factor = 1 / static_cast<double>(pool_overlap(options));
  const Tensor norm = norms(w, x);
  Tensor y = norm.clone();
  auto* const values = y.write<double>();
  for (std::int64_t i = 0; i < y.size(); ++i) values[i] *= factor;

  // y = f |x|:  dy/dx = f x / |x|, the quotient first, for it is at most 1; 0 at x = 0.
  return record(
      l2_pool_op, y.to(x.dtype()), {x_var}, {x},
      [w, x, norm, factor](const Tensor& dy, Needs) -> Grads<1> {
        return {l2_gradient(w, x, norm, dy, factor)};
      },
      [w, x, norm, factor](const Tangents<1>& dx) {
        return l2_tangent(w, x, norm, dx[0], factor);
      });
}

Var average_pool(const Var& x_var, const PoolOptions& options) {
  const Tensor& x = x_var.value();
  const Windows w(average_pool_op, x, options);
  const auto n = static_cast<double>(pool_sum_norm(options));
  const double factor = rounded_down(1 / n, x.dtype(), n * n);
  return record(
      average_pool_op, window_sums<false>(w, x, factor), {x_var}, {},
      [w, factor](const Tensor& dy, Needs) -> Grads<1> {
        return {window_sums<true>(w, dy, factor)};
      },
      [w, factor](const Tangents<1>& dx) { return window_sums<false>(w, dx[0], factor); });
}

Var global_average_pool(const Var& x) {
  require<ShapeError>(x.shape().rank() == 4 && x.dim(1) * x.dim(2) > 0,
                      "global_average_pool: expected x of shape [N, H, W, C] with at least one "
                      "pixel, got ",
                      x.shape());
  const std::int64_t pixels = x.dim(1) * x.dim(2);
  const auto area = static_cast<double>(pixels);
  const Var sums = sum(reshape(x, {x.dim(0), pixels, x.dim(3)}), 1);
  return scale(sums, rounded_down(1 / std::sqrt(area), x.dtype(), area));
}

Var upsample_nearest(const Var& x_var, int s) {
  const Tensor& x = x_var.value();
  require<ValueError>(s >= 1, "upsample_nearest: expected a factor >= 1, got ", s);
  require<ShapeError>(x.rank() == 4, "upsample_nearest: expected x of shape [N, H, W, C], got ",
                      x.shape());
  const Windows w(x, s);
  return record(
      upsample_nearest_op, window_sums<true>(w, x, 1), {x_var}, {},
      [w](const Tensor& dy, Needs) -> Grads<1> { return {window_sums<false>(w, dy, 1)}; },
      [w](const Tangents<1>& dx) { return window_sums<true>(w, dx[0], 1); });
}

}  // namespace isotape
