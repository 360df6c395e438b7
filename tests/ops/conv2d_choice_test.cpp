#include <doctest/doctest.h>

#include <isotape/core/random.hpp>
#include <isotape/ops/conv2d_choice.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/conv2d_choice");

namespace {

struct Case {
  Shape x, w;
  std::int64_t stride;
  Padding border;
  PadMode mode = PadMode::circular;
  std::int64_t padding = 0;
  std::int64_t groups = 1;
};

// One case per way: few channels, many filters, blocks (all pixels used, and a last row and column
// that no patch reaches), circular with even and odd kernels, and what must take none of these.
const Case cases[] = {
    {{2, 8, 8, 3}, {16, 3, 3, 3}, 1, {1, 1, 1, 1}},
    {{2, 8, 8, 3}, {72, 3, 3, 3}, 1, {1, 1, 1, 1}},
    {{3, 6, 6, 16}, {64, 3, 3, 16}, 1, {1, 1, 1, 1}},
    {{3, 8, 6, 16}, {32, 4, 4, 16}, 2, {2, 0, 2, 0}},
    {{3, 8, 6, 16}, {32, 4, 4, 16}, 2, {2, 1, 2, 1}},
    {{2, 9, 6, 8}, {16, 3, 3, 8}, 3, {0, 0, 0, 0}},
    {{2, 7, 9, 8}, {16, 2, 2, 8}, 2, {0, 0, 0, 0}},
    {{2, 6, 6, 8}, {16, 4, 2, 8}, 2, {1, 1, 0, 2}},
    {{2, 6, 5, 24}, {16, 2, 4, 24}, 1, {1, 0, 2, 1}},
    {{2, 6, 5, 24}, {16, 3, 3, 24}, 1, {2, 2, 2, 2}},
    {{2, 6, 5, 24}, {16, 3, 3, 24}, 1, {1, 1, 1, 1}, PadMode::zero},
    {{2, 8, 8, 16}, {16, 4, 4, 16}, 2, {1, 1, 1, 1}, PadMode::zero},
    {{2, 8, 8, 16}, {16, 4, 4, 16}, 2, {0, 0, 0, 0}, PadMode::circular, 1},
    {{2, 8, 8, 16}, {64, 2, 2, 8}, 2, {0, 0, 0, 0}, PadMode::circular, 0, 2},
    {{2, 4, 4, 16}, {32, 1, 1, 16}, 1, {0, 0, 0, 0}},
};

FramedConv2d convolution(const Case& c) {
  const Frame frame(c.x, c.border, c.mode);
  const Shape x = frame.padded_shape();
  const auto extent = [&](int axis) {
    return (x[axis] + 2 * c.padding - c.w[axis]) / c.stride + 1;
  };
  return {frame,
          {x[0], x[1], x[2], x[3], c.w[0], c.w[1], c.w[2], extent(1), extent(2), c.stride,
           c.padding, c.groups, 1}};
}

double relative_error(const Tensor& a, const Tensor& exact) {
  return max_abs_diff(a.to(DType::f64), exact) / (1 + max_abs(exact));
}

}  // namespace

TEST_CASE("FramedConv2d: whichever way it takes, it agrees with the seven loops") {
  Rng rng(1);
  for (const Case& c : cases) {
    CAPTURE(c.x);
    CAPTURE(c.w);
    CAPTURE(c.stride);
    const FramedConv2d conv = convolution(c);
    const Conv2dGeometry& g = conv.geometry;
    const Tensor x = random_normal(rng, c.x);
    const Tensor w = random_normal(rng, c.w);
    const Tensor bias = random_normal(rng, {c.w[0]});
    const Tensor dy = random_normal(rng, g.y_shape());
    const Tensor wide_x = framed(conv.frame, x.to(DType::f64));
    const Tensor wide_w = w.to(DType::f64);
    const Tensor wide_dy = dy.to(DType::f64);
    const Tensor y = conv2d_reference.forward(g, wide_x, wide_w, bias.to(DType::f64));
    const Tensor dx = unframed(conv.frame, conv2d_reference.grad_x(g, wide_dy, wide_w));
    const Tensor dw = conv2d_reference.grad_w(g, wide_x, wide_dy);
    for (const DType dtype : {DType::f32, DType::f64}) {
      const double tolerance = dtype == DType::f32 ? 1e-6 : 1e-14;
      const Tensor padded = conv.padded(x.to(dtype));
      CHECK(relative_error(conv.forward(padded, w.to(dtype), bias.to(dtype)), y) < tolerance);
      CHECK(relative_error(conv.grad_x(dy.to(dtype), w.to(dtype)), dx) < tolerance);
      CHECK(relative_error(conv.grad_w(padded, dy.to(dtype)), dw) < tolerance);
    }
  }
}

TEST_SUITE_END();
