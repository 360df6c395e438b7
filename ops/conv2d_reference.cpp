#include <isotape/ops/conv2d_kernel.hpp>

namespace isotape {
namespace {

// Calls f(at_x, at_w, at_y) for every product x w that y is a sum of.
template <class F>
void for_each_product(const Conv2dGeometry& g, F&& f) {
  std::int64_t at_y = 0;
  for (std::int64_t n = 0; n < g.images; ++n) {
    for (std::int64_t i = 0; i < g.out_height; ++i) {
      for (std::int64_t j = 0; j < g.out_width; ++j) {
        for (std::int64_t o = 0; o < g.filters; ++o, ++at_y) {
          std::int64_t at_w = o * g.w_shape().inner(0);
          for (std::int64_t a = 0; a < g.kernel_height; ++a) {
            for (std::int64_t b = 0; b < g.kernel_width; ++b, at_w += g.group_channels()) {
              const std::int64_t row = i * g.stride - g.padding + a * g.dilation;
              const std::int64_t column = j * g.stride - g.padding + b * g.dilation;
              if (row < 0 || row >= g.height || column < 0 || column >= g.width) continue;
              const std::int64_t pixel = (n * g.height + row) * g.width + column;
              const std::int64_t at_x =
                  pixel * g.channels + o / g.group_filters() * g.group_channels();
              for (std::int64_t c = 0; c < g.group_channels(); ++c) f(at_x + c, at_w + c, at_y);
            }
          }
        }
      }
    }
  }
}

Tensor forward(const Conv2dGeometry& g, const Tensor& x_tensor, const Tensor& w_tensor,
               const Tensor& bias) {
  const Tensor x_wide = x_tensor.to(DType::f64);
  const Tensor w_wide = w_tensor.to(DType::f64);
  Tensor sum = Tensor::zeros(g.y_shape(), DType::f64);
  const auto* x = x_wide.data<double>();
  const auto* w = w_wide.data<double>();
  auto* y = sum.write<double>();
  if (bias) {
    for (std::int64_t i = 0; i < sum.size(); ++i) y[i] = bias.at(i % g.filters);
  }
  for_each_product(g, [&](auto at_x, auto at_w, auto at_y) { y[at_y] += x[at_x] * w[at_w]; });
  return sum.to(x_tensor.dtype());
}

Tensor grad_x(const Conv2dGeometry& g, const Tensor& dy_tensor, const Tensor& w_tensor) {
  const Tensor dy_wide = dy_tensor.to(DType::f64);
  const Tensor w_wide = w_tensor.to(DType::f64);
  Tensor sum = Tensor::zeros(g.x_shape(), DType::f64);
  const auto* dy = dy_wide.data<double>();
  const auto* w = w_wide.data<double>();
  auto* dx = sum.write<double>();
  for_each_product(g, [&](auto at_x, auto at_w, auto at_y) { dx[at_x] += dy[at_y] * w[at_w]; });
  return sum.to(dy_tensor.dtype());
}

Tensor grad_w(const Conv2dGeometry& g, const Tensor& x_tensor, const Tensor& dy_tensor) {
  const Tensor x_wide = x_tensor.to(DType::f64);
  const Tensor dy_wide = dy_tensor.to(DType::f64);
  Tensor sum = Tensor::zeros(g.w_shape(), DType::f64);
  const auto* x = x_wide.data<double>();
  const auto* dy = dy_wide.data<double>();
  auto* dw = sum.write<double>();
  for_each_product(g, [&](auto at_x, auto at_w, auto at_y) { dw[at_w] += dy[at_y] * x[at_x]; });
  return sum.to(x_tensor.dtype());
}

}  // namespace

const Conv2dKernel conv2d_reference{forward, grad_x, grad_w};

}  // namespace isotape
