#include <isotape/ops/conv2d_choice.hpp>

#include <algorithm>

// What is faster was measured on AVX2 (Zen 3), one thread, 128 images of the shapes of [Li 2019]:
// oneDNN runs at 70-85 % of sgemm's rate except where said below.

namespace isotape {
namespace {

// The type of the images tells those in bf16, which have no other way.
const Conv2dKernel& kernel_for(const Conv2dGeometry& g, DType dtype) {
  if (g.images == 0) return conv2d_reference;
  if (dtype == DType::bf16) return conv2d_bf16;
  return dtype == DType::f32 ? conv2d_onednn : conv2d_im2col;
}

// Sums over many pixels of products with many filters are well-shaped matrix products: patches take
// 0.8-0.9 of oneDNN's time. In bf16, where a patch is a few long runs: 0.9 of it at 128 and 256
// channels, but 1.2 and more at 32 (Zen 5).
const Conv2dKernel& grad_w_kernel_for(const Conv2dGeometry& g, DType dtype) {
  constexpr std::int64_t many_filters = 64;
  constexpr std::int64_t many_channels = 128;
  const bool has_choice = g.images > 0 && g.groups == 1;
  const bool is_wide =
      dtype == DType::bf16 ? g.channels >= many_channels : g.filters >= many_filters;
  return has_choice && is_wide ? conv2d_im2col : kernel_for(g, dtype);
}

// Into few channels oneDNN's transposed convolution is slow; patches take down to a third of its
// time.
const Conv2dKernel& grad_x_kernel_for(const Conv2dGeometry& g, DType dtype) {
  constexpr std::int64_t few_channels = 4;
  const bool has_choice = g.images > 0 && dtype != DType::bf16 && g.groups == 1;
  if (has_choice && g.channels <= few_channels) return conv2d_im2col;
  return kernel_for(g, dtype);
}

// ---- strided, the kernel a multiple of the stride: of stride 1 on blocks of s x s pixels

bool is_made_of_blocks(const Conv2dGeometry& g) {
  return g.stride > 1 && g.padding == 0 && g.groups == 1 && g.dilation == 1 &&
         g.kernel_height % g.stride == 0 && g.kernel_width % g.stride == 0;
}

Conv2dGeometry in_blocks(const Conv2dGeometry& g) {
  Conv2dGeometry b = g;
  b.kernel_height = g.kernel_height / g.stride;
  b.kernel_width = g.kernel_width / g.stride;
  b.height = g.out_height + b.kernel_height - 1;
  b.width = g.out_width + b.kernel_width - 1;
  b.channels = g.channels * g.stride * g.stride;
  b.stride = 1;
  return b;
}

// [O, h s, w s, C] -> [O, h, w, s s C]: a tap of the result is a block of taps.
Tensor weights_in_blocks(const Conv2dGeometry& g, const Tensor& w_tensor) {
  Tensor result(in_blocks(g).w_shape(), w_tensor.dtype());
  dispatch_float(w_tensor.dtype(), "conv2d", [&]<class T>() {
    const T* w = w_tensor.data<T>();
    T* target = result.write<T>();
    const std::int64_t run = g.stride * g.channels;
    const std::int64_t line = g.kernel_width * g.channels;
    for (std::int64_t row = 0; row < g.filters * g.kernel_height; row += g.stride) {
      for (std::int64_t q = 0; q < g.kernel_width / g.stride; ++q) {
        for (std::int64_t a = 0; a < g.stride; ++a, target += run) {
          std::copy_n(w + (row + a) * line + q * run, run, target);
        }
      }
    }
  });
  return result;
}

// ---- circular and as large as the image: the transpose is circular, too

bool is_circular(const FramedConv2d& c) {
  const Conv2dGeometry& g = c.geometry;
  return c.is_padded() && c.frame.mode == PadMode::circular && g.stride == 1 && g.padding == 0 &&
         g.groups == 1 && g.dilation == 1 && g.out_height == c.frame.height &&
         g.out_width == c.frame.width;
}

// dx[i] = sum over a of dy[i + top - a] w[a], top the rows in front: with a = kh - 1 - a' a
// convolution with the flipped kernel, kh - 1 - top = bottom rows in front.
Tensor flipped(const Conv2dGeometry& g, const Tensor& w_tensor) {
  Tensor result({g.channels, g.kernel_height, g.kernel_width, g.filters}, w_tensor.dtype());
  const std::int64_t taps = g.kernel_height * g.kernel_width;
  dispatch_float(w_tensor.dtype(), "conv2d", [&]<class T>() {
    const T* w = w_tensor.data<T>();
    T* target = result.write<T>();
    for (std::int64_t c = 0; c < g.channels; ++c) {
      for (std::int64_t tap = taps; tap-- > 0;) {
        for (std::int64_t o = 0; o < g.filters; ++o)
          *target++ = w[(o * taps + tap) * g.channels + c];
      }
    }
  });
  return result;
}

Tensor circular_grad_x(const FramedConv2d& c, const Tensor& dy, const Tensor& w) {
  const Conv2dGeometry& g = c.geometry;
  const Padding& p = c.frame.padding;
  const Frame frame(dy.shape(), {p.bottom, p.top, p.right, p.left}, PadMode::circular);
  Conv2dGeometry back = g;
  std::swap(back.channels, back.filters);
  return kernel_for(back, dy.dtype()).forward(back, framed(frame, dy), flipped(g, w), {});
}

DType operand_type(Precision precision, const Tensor& x) {
  return precision == Precision::bf16 ? DType::bf16 : x.dtype();
}

}  // namespace

Tensor FramedConv2d::padded(const Tensor& x) const {
  return is_padded() ? framed(frame, x, operand_type(precision, x)) : operand(x);
}

Tensor FramedConv2d::operand(const Tensor& dy) const { return dy.to(operand_type(precision, dy)); }

Tensor FramedConv2d::forward(const Tensor& padded_x, const Tensor& w, const Tensor& bias) const {
  return kernel_for(geometry, padded_x.dtype()).forward(geometry, padded_x, w, bias);
}

Tensor FramedConv2d::grad_x(const Tensor& dy, const Tensor& w) const {
  const Conv2dGeometry& g = geometry;
  const bool is_few = &grad_x_kernel_for(g, dy.dtype()) == &conv2d_im2col;
  if (dy.dtype() != DType::f64 && g.images > 0 && !is_few) {
    if (is_circular(*this)) return circular_grad_x(*this, dy, w);
    if (is_made_of_blocks(g)) {
      const Tensor blocks =
          kernel_for(g, dy.dtype()).grad_x(in_blocks(g), dy, weights_in_blocks(g, w));
      return unframed(frame, blocks, g.stride);
    }
  }
  Tensor padded_grad = grad_x_kernel_for(g, dy.dtype()).grad_x(g, dy, w);
  return is_padded() ? unframed(frame, padded_grad) : padded_grad;
}

Tensor FramedConv2d::grad_w(const Tensor& padded_x, const Tensor& dy) const {
  return grad_w_kernel_for(geometry, dy.dtype()).grad_w(geometry, padded_x, dy);
}

}  // namespace isotape
