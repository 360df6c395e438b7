#include <isotape/ops/conv2d.hpp>

#include <algorithm>
#include <ostream>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/conv2d_checks.hpp>
#include <isotape/ops/conv2d_choice.hpp>

namespace isotape {
namespace {

const Op conv2d_op("conv2d");

void check(const Tensor& x, const Tensor& w, const Tensor& bias, std::int64_t groups) {
  require<ShapeError>(x.rank() == 4 && x.shape().inner(0) > 0,
                      "conv2d: expected x of shape [N, H, W, C], got ", x.shape());
  require<ShapeError>(w.rank() == 4 && w.size() > 0 && w.dim(3) * groups == x.dim(3),
                      "conv2d: expected w of shape [O, kh, kw, C/groups] with C = ", x.dim(3),
                      " and groups = ", groups, ", got ", w.shape());
  require<ShapeError>(w.dim(0) % groups == 0, "conv2d: expected groups to divide the filters of w ",
                      w.shape(), ", got ", groups);
  require<ShapeError>(!bias || bias.shape() == Shape{w.dim(0)}, "conv2d: expected bias of shape ",
                      Shape{w.dim(0)}, ", got ", bias.shape());
  dispatch_float(x.dtype(), "conv2d", []<class T>() {});
  require<ShapeError>(w.dtype() == x.dtype() && (!bias || bias.dtype() == x.dtype()),
                      "conv2d: expected w and bias of x's type ", x.dtype(), ", got w ", w.dtype(),
                      bias ? message(" and bias ", bias.dtype()) : "");
}

Conv2dGeometry geometry(const Shape& x, const Shape& w, const Conv2dOptions& options) {
  const auto slack = [&](int axis) {
    return x[axis] + 2 * std::int64_t{options.padding} - (w[axis] - 1) * options.dilation - 1;
  };
  require<ShapeError>(slack(1) >= 0 && slack(2) >= 0,
                      "conv2d: expected a kernel within the padded image, got w ", w, " on x ", x,
                      " with padding ", options.padding, " and dilation ", options.dilation);
  return {x[0],
          x[1],
          x[2],
          x[3],
          w[0],
          w[1],
          w[2],
          slack(1) / options.stride + 1,
          slack(2) / options.stride + 1,
          options.stride,
          options.padding,
          options.groups,
          options.dilation};
}

// Sums dy over everything but the filters: plainly within blocks of rows, in f64 across them, so
// that the rounding error does not grow with the batch.
Tensor sum_to_bias(const Tensor& dy_tensor) {
  constexpr std::int64_t block = 256;
  const std::int64_t filters = dy_tensor.dim(-1);
  const std::int64_t rows = dy_tensor.size() / filters;
  const std::int64_t blocks = (rows + block - 1) / block;
  Tensor sums = Tensor::zeros({std::max<std::int64_t>(blocks, 1), filters}, dy_tensor.dtype());
  Tensor bias_tensor({filters}, dy_tensor.dtype());
  dispatch_float(dy_tensor.dtype(), "conv2d", [&]<class T>() {
    const T* dy = dy_tensor.data<T>();
    T* partial = sums.write<T>();
    parallel_for(blocks, 32, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin * block; row < std::min(end * block, rows); ++row) {
        T* const sum = partial + row / block * filters;
        for (std::int64_t o = 0; o < filters; ++o) sum[o] += dy[row * filters + o];
      }
    });
    T* bias = bias_tensor.write<T>();
    for (std::int64_t o = 0; o < filters; ++o) {
      double sum = 0;
      for (std::int64_t k = 0; k < blocks; ++k) sum += double(partial[k * filters + o]);
      bias[o] = static_cast<T>(sum);
    }
  });
  return bias_tensor;
}

// y[..., o] = bias[o], the tangent of y where bias alone has one.
Tensor spread(const Conv2dGeometry& g, const Tensor& bias_tensor) {
  Tensor y_tensor(g.y_shape(), bias_tensor.dtype());
  dispatch_float(bias_tensor.dtype(), "conv2d", [&]<class T>() {
    const T* bias = bias_tensor.data<T>();
    T* y = y_tensor.write<T>();
    for (std::int64_t i = 0; i < y_tensor.size(); i += g.filters) {
      std::copy_n(bias, g.filters, y + i);
    }
  });
  return y_tensor;
}

}  // namespace

Var conv2d(const Var& x_var, const Var& w_var, const Var& bias_var, const Conv2dOptions& options) {
  const Tensor& x = x_var.value();
  const Tensor& w = w_var.value();
  check_conv2d_options("conv2d", options);
  check(x, w, bias_var.value(), options.groups);
  check_conv2d_border("conv2d", x.shape(), options);
  const Frame frame(x.shape(), options.border, options.border_mode);
  const Conv2dGeometry g = geometry(frame.padded_shape(), w.shape(), options);
  const FramedConv2d conv{frame, g, conv2d_precision("conv2d", g, x.dtype(), options.precision)};
  const Tensor padded_x = conv.padded(x);
  Tensor y = conv.forward(padded_x, w, bias_var.value());

  // y is linear in x and in w; each gradient is the transpose of that map applied to dy. Only what
  // the wanted ones need is kept: the padded x for grad_w, w for grad_x.
  const Tensor kept_x = is_recording({w_var}) ? padded_x : Tensor();
  const Tensor kept_w = is_recording({x_var}) ? w : Tensor();
  return record(
      conv2d_op, std::move(y), {x_var, w_var, bias_var}, {kept_x, kept_w},
      [conv, kept_x, kept_w](const Tensor& dy, Needs needs) -> Grads<3> {
        Grads<3> grads;
        const Tensor operand = needs(0) || needs(1) ? conv.operand(dy) : Tensor();
        if (needs(0)) grads[0] = conv.grad_x(operand, kept_w);
        if (needs(1)) grads[1] = conv.grad_w(kept_x, operand);
        if (needs(2)) grads[2] = sum_to_bias(dy);
        return grads;
      },
      [conv, kept_x, kept_w](const Tangents<3>& d) {
        Tensor dy;
        if (d[0]) dy = conv.forward(conv.padded(d[0]), kept_w, d[2]);
        if (d[1]) {
          Tensor term = conv.forward(kept_x, d[1], dy ? Tensor() : d[2]);
          if (dy) add_in_place(term, dy);
          dy = std::move(term);
        }
        return dy ? dy : spread(conv.geometry, d[2]);
      });
}

}  // namespace isotape
