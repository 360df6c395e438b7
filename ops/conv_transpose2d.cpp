#include <isotape/ops/conv_transpose2d.hpp>

#include <algorithm>
#include <ostream>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/broadcast.hpp>
#include <isotape/ops/conv2d_checks.hpp>
#include <isotape/ops/conv2d_choice.hpp>

namespace isotape {
namespace {

constexpr const char* op = "conv_transpose2d";
const Op conv_transpose2d_op(op);

void check(const Tensor& x, const Tensor& w, const Tensor& bias, std::int64_t groups) {
  require<ShapeError>(x.rank() == 4 && x.shape().inner(0) > 0, op,
                      ": expected x of shape [N, H, W, C], got ", x.shape());
  require<ShapeError>(w.rank() == 4 && w.size() > 0 && w.dim(0) == x.dim(3), op,
                      ": expected w of shape [C, kh, kw, F/groups] with C = ", x.dim(3), ", got ",
                      w.shape());
  require<ShapeError>(x.dim(3) % groups == 0, op, ": expected groups to divide the channels of x ",
                      x.shape(), ", got ", groups);
  const Shape channels{w.dim(3) * groups};
  require<ShapeError>(!bias || bias.shape() == channels, op, ": expected bias of shape ", channels,
                      ", got ", bias.shape());
  dispatch_float(x.dtype(), op, []<class T>() {});
  require<ShapeError>(w.dtype() == x.dtype() && (!bias || bias.dtype() == x.dtype()), op,
                      ": expected w and bias of x's type ", x.dtype(), ", got w ", w.dtype(),
                      bias ? message(" and bias ", bias.dtype()) : "");
}

// The shape of y, whose convolution has the size of x.
Shape output_shape(const Shape& x, const Shape& w, const Conv2dOptions& o,
                   const TransposedSize& size) {
  const bool is_given = size.height != 0 || size.width != 0;
  require<ValueError>(!is_given || size.extra == 0, op,
                      ": expected extra pixels or the size itself, got extra ", size.extra, " and ",
                      size.height, " x ", size.width);
  require<ValueError>(0 <= size.extra && size.extra < o.stride, op, ": expected extra in 0..",
                      o.stride - 1, ", less than the stride, got ", size.extra);
  const auto least = [&](int axis, int before, int after) {
    return (x[axis] - 1) * o.stride + (w[axis] - 1) * o.dilation + 1 - 2 * std::int64_t{o.padding} -
           before - after;
  };
  const std::int64_t height = least(1, o.border.top, o.border.bottom);
  const std::int64_t width = least(2, o.border.left, o.border.right);
  const auto fits = [&](std::int64_t chosen, std::int64_t smallest) {
    return chosen >= std::max<std::int64_t>(smallest, 1) && chosen < smallest + o.stride;
  };
  const std::int64_t tall = is_given ? size.height : height + size.extra;
  const std::int64_t wide = is_given ? size.width : width + size.extra;
  require<ShapeError>(is_given || (tall >= 1 && wide >= 1), op,
                      ": expected an output of at least one pixel, got ", tall, " x ", wide,
                      " from x ", x, " and w ", w);
  require<ShapeError>(fits(tall, height) && fits(wide, width), op,
                      ": expected an output whose convolution has the size of x ", x, ", ", height,
                      "..", height + o.stride - 1, " x ", width, "..", width + o.stride - 1,
                      ", got ", tall, " x ", wide);
  return {x[0], tall, wide, w[3] * o.groups};
}

// The convolution from y to x.
FramedConv2d convolution_of(const Shape& x, const Shape& w, const Shape& y, DType dtype,
                            const Conv2dOptions& o) {
  const Frame frame(y, o.border, o.border_mode);
  const Conv2dGeometry g{y[0],
                         frame.padded_height(),
                         frame.padded_width(),
                         y[3],
                         x[3],
                         w[1],
                         w[2],
                         x[1],
                         x[2],
                         o.stride,
                         o.padding,
                         o.groups,
                         o.dilation};
  return {frame, g, conv2d_precision(op, g, dtype, o.precision)};
}

// y[..., f] += bias[f]
void add_bias(const Tensor& bias_tensor, Tensor& y_tensor) {
  constexpr std::int64_t elements_worth_a_thread = 1 << 15;
  const std::int64_t channels = bias_tensor.size();
  dispatch_float(y_tensor.dtype(), op, [&]<class T>() {
    const T* bias = bias_tensor.data<T>();
    T* y = y_tensor.write<T>();
    parallel_for(y_tensor.size() / channels, elements_worth_a_thread / channels + 1,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (T* pixel = y + begin * channels; pixel < y + end * channels;
                        pixel += channels) {
                     for (std::int64_t f = 0; f < channels; ++f) pixel[f] += bias[f];
                   }
                 });
  });
}

}  // namespace

Var conv_transpose2d(const Var& x_var, const Var& w_var, const Var& bias_var,
                     const Conv2dOptions& options, const TransposedSize& size) {
  const Tensor& x = x_var.value();
  const Tensor& w = w_var.value();
  check_conv2d_options(op, options);
  check(x, w, bias_var.value(), options.groups);
  const Shape y_shape = output_shape(x.shape(), w.shape(), options, size);
  check_conv2d_border(op, y_shape, options);
  const FramedConv2d conv = convolution_of(x.shape(), w.shape(), y_shape, x.dtype(), options);
  const Tensor operand = conv.operand(x);
  Tensor y = conv.grad_x(operand, w);
  if (bias_var) add_bias(bias_var.value(), y);

  // With A(w) the convolution, y = A(w)^T x + bias, and <y, dy> = <x, A(w) dy>: so grad_x = A(w)
  // dy, and grad_w is that of a convolution of dy whose result has the gradient x.
  const Tensor kept_x = is_recording({w_var}) ? operand : Tensor();
  const Tensor kept_w = is_recording({x_var}) ? w : Tensor();
  return record(
      conv_transpose2d_op, std::move(y), {x_var, w_var, bias_var}, {kept_x, kept_w},
      [conv, kept_x, kept_w](const Tensor& dy, Needs needs) -> Grads<3> {
        Grads<3> grads;
        const Tensor padded = needs(0) || needs(1) ? conv.padded(dy) : Tensor();
        if (needs(0)) grads[0] = conv.forward(padded, kept_w, {});
        if (needs(1)) grads[1] = conv.grad_w(padded, kept_x);
        if (needs(2)) grads[2] = sum_to(dy, {dy.dim(3)});
        return grads;
      },
      [conv, kept_x, kept_w](const Tangents<3>& d) {
        Tensor dy;
        if (d[0]) dy = conv.grad_x(conv.operand(d[0]), kept_w);
        if (d[1]) {
          Tensor term = conv.grad_x(kept_x, d[1]);
          if (dy) add_in_place(term, dy);
          dy = std::move(term);
        }
        if (!dy) dy = Tensor::zeros(conv.frame.shape(), d[2].dtype());
        if (d[2]) add_bias(d[2], dy);
        return dy;
      });
}

}  // namespace isotape
