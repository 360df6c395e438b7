#include <isotape/ops/pad.hpp>

#include <algorithm>
#include <ostream>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

const Op pad_op("pad");

constexpr std::int64_t elements_worth_a_thread = 1 << 15;

// An image and its padded copy, in rows of W * C elements.
struct Frame {
  std::int64_t images, height, width, channels;
  std::int64_t top, bottom, left, right;
  PadMode mode;

  std::int64_t padded_height() const { return top + height + bottom; }
  std::int64_t padded_width() const { return left + width + right; }
  std::int64_t row() const { return width * channels; }
  std::int64_t padded_row() const { return padded_width() * channels; }
  Shape shape() const { return {images, height, width, channels}; }
  Shape padded_shape() const { return {images, padded_height(), padded_width(), channels}; }
  std::int64_t grain() const {
    return elements_worth_a_thread / std::max<std::int64_t>(padded_row(), 1) + 1;
  }
};

// One padded row from one row of the image.
template <class T>
void pad_row(const Frame& f, const T* x, T* y) {
  const std::int64_t left = f.left * f.channels;
  const std::int64_t right = f.right * f.channels;
  std::copy_n(x, f.row(), y + left);
  if (f.mode == PadMode::zero) {
    std::fill_n(y, left, T{0});
    std::fill_n(y + left + f.row(), right, T{0});
  } else {
    std::copy_n(x + f.row() - left, left, y);
    std::copy_n(x, right, y + left + f.row());
  }
}

template <class T>
void add_row(std::int64_t n, const T* from, T* to) {
  for (std::int64_t i = 0; i < n; ++i) to[i] += from[i];
}

// The transpose of pad_row: the middle is copied or added, a circular border is added.
template <class T>
void fold_row(const Frame& f, bool first, const T* dy, T* dx) {
  const std::int64_t left = f.left * f.channels;
  const std::int64_t right = f.right * f.channels;
  if (first) {
    std::copy_n(dy + left, f.row(), dx);
  } else {
    add_row(f.row(), dy + left, dx);
  }
  if (f.mode == PadMode::circular) {
    add_row(left, dy, dx + f.row() - left);
    add_row(right, dy + left + f.row(), dx);
  }
}

Tensor padded(const Frame& f, const Tensor& x_tensor) {
  Tensor y_tensor(f.padded_shape(), x_tensor.dtype());
  dispatch_float(x_tensor.dtype(), "pad", [&]<class T>() {
    const T* x = x_tensor.data<T>();
    T* y = y_tensor.write<T>();
    parallel_for(f.images * f.padded_height(), f.grain(),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t r = begin; r < end; ++r) {
                     const std::int64_t image = r / f.padded_height();
                     std::int64_t i = r % f.padded_height() - f.top;
                     T* const target = y + r * f.padded_row();
                     if (f.mode == PadMode::zero && (i < 0 || i >= f.height)) {
                       std::fill_n(target, f.padded_row(), T{0});
                       continue;
                     }
                     i += i < 0 ? f.height : i >= f.height ? -f.height : 0;
                     pad_row(f, x + (image * f.height + i) * f.row(), target);
                   }
                 });
  });
  return y_tensor;
}

Tensor folded(const Frame& f, const Tensor& dy_tensor) {
  Tensor dx_tensor(f.shape(), dy_tensor.dtype());
  dispatch_float(dy_tensor.dtype(), "pad", [&]<class T>() {
    const T* dy = dy_tensor.data<T>();
    T* dx = dx_tensor.write<T>();
    parallel_for(f.images * f.height, f.grain(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const std::int64_t i = r % f.height;
        const T* const image = dy + r / f.height * f.padded_height() * f.padded_row();
        const auto fold = [&](std::int64_t padded_i, bool first) {
          fold_row(f, first, image + padded_i * f.padded_row(), dx + r * f.row());
        };
        fold(f.top + i, true);
        if (f.mode == PadMode::zero) continue;
        if (i >= f.height - f.top) fold(f.top + i - f.height, false);
        if (i < f.bottom) fold(f.top + i + f.height, false);
      }
    });
  });
  return dx_tensor;
}

void check(const Shape& x, const Padding& p, PadMode mode) {
  require<ShapeError>(x.rank() == 4, "pad: expected x of shape [N, H, W, C], got ", x);
  const int least = std::min({p.top, p.bottom, p.left, p.right});
  require<ValueError>(least >= 0, "pad: expected padding >= 0, got ", least);
  if (mode == PadMode::zero) return;
  const bool fits = std::max(p.top, p.bottom) <= x[1] && std::max(p.left, p.right) <= x[2];
  require<ValueError>(fits, "pad: expected circular padding within the image ", x, ", got top ",
                      p.top, ", bottom ", p.bottom, ", left ", p.left, ", right ", p.right);
}

}  // namespace

Var pad(const Var& x_var, const Padding& padding, PadMode mode) {
  const Tensor& x = x_var.value();
  check(x.shape(), padding, mode);
  const Frame frame{x.dim(0),       x.dim(1),     x.dim(2),      x.dim(3), padding.top,
                    padding.bottom, padding.left, padding.right, mode};

  // y = P x with a 0/1 matrix P, one 1 per row (at most): grad_x = P^T dy.
  return record(
      pad_op, padded(frame, x), {x_var}, {},
      [frame](const Tensor& dy, Needs) -> Grads<1> { return {folded(frame, dy)}; },
      [frame](const Tangents<1>& dx) { return padded(frame, dx[0]); });
}

}  // namespace isotape
