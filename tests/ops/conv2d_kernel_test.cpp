#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/conv2d_kernel.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/conv2d_kernel");

namespace {

struct Layer {
  std::int64_t images, height, width, channels, filters, kernel_height, kernel_width;
};

Conv2dGeometry geometry(const Layer& l, std::int64_t stride, std::int64_t padding,
                        std::int64_t groups, std::int64_t dilation) {
  const auto extent = [&](std::int64_t in, std::int64_t kernel) {
    const std::int64_t slack = in + 2 * padding - (kernel - 1) * dilation - 1;
    return slack < 0 ? 0 : slack / stride + 1;
  };
  return {l.images,
          l.height,
          l.width,
          l.channels,
          l.filters,
          l.kernel_height,
          l.kernel_width,
          extent(l.height, l.kernel_height),
          extent(l.width, l.kernel_width),
          stride,
          padding,
          groups,
          dilation};
}

// Every layer x stride x padding x groups x dilation whose kernel fits the image.
std::vector<Conv2dGeometry> table() {
  const Layer layers[] = {{2, 8, 8, 16, 32, 3, 3}, {3, 7, 5, 12, 16, 2, 2}, {2, 9, 6, 4, 8, 5, 3},
                          {2, 6, 6, 3, 12, 1, 1},  {1, 1, 1, 8, 4, 1, 1},   {2, 1, 1, 64, 32, 3, 3},
                          {2, 4, 4, 1, 16, 4, 4},  {1, 5, 5, 40, 24, 3, 3}};
  std::vector<Conv2dGeometry> result;
  for (const Layer& l : layers) {
    for (const std::int64_t stride : {1, 2, 3}) {
      for (const std::int64_t padding : {0, 1, 3}) {
        for (const std::int64_t groups : {1, 2, 4}) {
          for (const std::int64_t dilation : {1, 2}) {
            if (l.channels % groups != 0 || l.filters % groups != 0) continue;
            const Conv2dGeometry g = geometry(l, stride, padding, groups, dilation);
            if (g.out_height > 0 && g.out_width > 0) result.push_back(g);
          }
        }
      }
    }
  }
  const Layer depthwise{2, 6, 6, 32, 32, 3, 3};
  result.push_back(geometry(depthwise, 1, 1, 32, 1));
  result.push_back(geometry(depthwise, 2, 0, 32, 2));
  return result;
}

Tensor magnitudes(const Tensor& x) {
  Tensor y = x.to(DType::f64).clone();
  for (std::int64_t i = 0; i < y.size(); ++i) y.write<double>()[i] = std::abs(x.at(i));
  return y;
}

// Largest |a - b| over the sum of the absolute values of what was added up.
double relative_error(const Tensor& a, const Tensor& b, const Tensor& scale) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return INFINITY;
  double worst = 0;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a.at(i) - b.at(i));
    if (difference != 0) worst = std::max(worst, difference / scale.at(i));
    if (std::isnan(difference)) return INFINITY;
  }
  return worst;
}

// The largest error of a kernel's three passes against the reference, over the whole table.
double worst_error(const Conv2dKernel& kernel, DType dtype) {
  Rng rng(1);
  double worst = 0;
  bool with_bias = false;
  for (const Conv2dGeometry& g : table()) {
    with_bias = !with_bias;
    CAPTURE(g.x_shape());
    CAPTURE(g.w_shape());
    CAPTURE(g.stride);
    CAPTURE(g.padding);
    CAPTURE(g.dilation);
    const Tensor x = random_normal(rng, g.x_shape(), 1, dtype);
    const Tensor w = random_normal(rng, g.w_shape(), 1, dtype);
    const Tensor bias = with_bias ? random_normal(rng, {g.filters}, 1, dtype) : Tensor();
    const Tensor dy = random_normal(rng, g.y_shape(), 1, dtype);
    const Tensor abs_x = magnitudes(x);
    const Tensor abs_w = magnitudes(w);
    const Tensor abs_dy = magnitudes(dy);
    const Conv2dKernel& plain = conv2d_reference;
    const double errors[] = {
        relative_error(kernel.forward(g, x, w, bias), plain.forward(g, x, w, bias),
                       plain.forward(g, abs_x, abs_w, bias ? magnitudes(bias) : Tensor())),
        relative_error(kernel.grad_x(g, dy, w), plain.grad_x(g, dy, w),
                       plain.grad_x(g, abs_dy, abs_w)),
        relative_error(kernel.grad_w(g, x, dy), plain.grad_w(g, x, dy),
                       plain.grad_w(g, abs_x, abs_dy))};
    for (const double error : errors) {
      CHECK(error <= (dtype == DType::f32 ? 1e-6 : 1e-15));
      worst = std::max(worst, error);
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("conv2d_onednn: equals the reference to rounding over the table of layers") {
  CHECK(worst_error(conv2d_onednn, DType::f32) > 0);
}

TEST_CASE("conv2d_im2col: equals the reference to rounding over the table of layers") {
  CHECK(worst_error(conv2d_im2col, DType::f32) > 0);
  CHECK(worst_error(conv2d_im2col, DType::f64) > 0);
}

TEST_CASE("conv2d_reference: gradients are the transposes of the forward map") {
  Rng rng(2);
  for (const Conv2dGeometry& g : table()) {
    const Tensor x = random_normal(rng, g.x_shape(), 1, DType::f64);
    const Tensor w = random_normal(rng, g.w_shape(), 1, DType::f64);
    const Tensor dy = random_normal(rng, g.y_shape(), 1, DType::f64);
    const double forward = dot(conv2d_reference.forward(g, x, w, {}), dy);
    const double scale = frobenius_norm(x) * frobenius_norm(w) * frobenius_norm(dy);
    CHECK(std::abs(forward - dot(conv2d_reference.grad_x(g, dy, w), x)) <= 1e-14 * scale);
    CHECK(std::abs(forward - dot(conv2d_reference.grad_w(g, x, dy), w)) <= 1e-14 * scale);
  }
}

TEST_CASE("conv2d_onednn: leaves the weight gradient of strided 1x1 kernels to patches") {
  // oneDNN 2.6 writes 20 bytes past its scratchpad here, into whatever lies there.
  const Conv2dGeometry g = geometry({2, 6, 6, 3, 12, 1, 1}, 2, 0, 1, 1);
  Rng rng(3);
  const Tensor x = random_normal(rng, g.x_shape());
  const Tensor dy = random_normal(rng, g.y_shape());
  const std::int64_t primitives = conv2d_counters().primitives_created;
  const Tensor dw = conv2d_onednn.grad_w(g, x, dy);
  CHECK(conv2d_counters().primitives_created == primitives);
  CHECK(max_abs_diff(dw, conv2d_im2col.grad_w(g, x, dy)) == 0);
}

TEST_CASE("conv2d_onednn: an error of the library names op and shapes") {
  Conv2dGeometry g = geometry({2, 8, 8, 16, 32, 3, 3}, 1, 1, 1, 1);
  g.out_width += 3;
  const Tensor x = Tensor::zeros(g.x_shape());
  const Tensor w = Tensor::zeros(g.w_shape());
  CHECK_THROWS_WITH_AS(conv2d_onednn.forward(g, x, w, {}),
                       doctest::Contains("conv2d: expected oneDNN to compute x [2, 8, 8, 16] with "
                                         "w [32, 3, 3, 16], got status 2: could not create a"),
                       Error);
}

TEST_SUITE_END();
