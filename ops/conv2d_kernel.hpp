#pragma once

#include <compare>
#include <cstdint>

#include <isotape/core/tensor.hpp>

namespace isotape {

/// The extents of a convolution y = w * x + bias; consistent, as conv2d() makes them.
struct Conv2dGeometry {
  std::int64_t images, height, width, channels;       ///< of x
  std::int64_t filters, kernel_height, kernel_width;  ///< of w
  std::int64_t out_height, out_width;                 ///< of y
  std::int64_t stride, padding, groups, dilation;

  std::int64_t group_channels() const { return channels / groups; }
  std::int64_t group_filters() const { return filters / groups; }
  Shape x_shape() const { return {images, height, width, channels}; }
  Shape w_shape() const { return {filters, kernel_height, kernel_width, group_channels()}; }
  Shape y_shape() const { return {images, out_height, out_width, filters}; }
  // NOLINTNEXTLINE(modernize-use-nullptr): there is none
  friend auto operator<=>(const Conv2dGeometry&, const Conv2dGeometry&) = default;
};

/// One way to compute a convolution and its two transposes. Extents are >= 1.
struct Conv2dKernel {
  /// bias may be absent.
  Tensor (*forward)(const Conv2dGeometry&, const Tensor& x, const Tensor& w, const Tensor& bias);
  Tensor (*grad_x)(const Conv2dGeometry&, const Tensor& dy, const Tensor& w);
  Tensor (*grad_w)(const Conv2dGeometry&, const Tensor& x, const Tensor& dy);
};

/// The definition as seven loops, accumulated in f64; any float type, and no images at all. What
/// the others are tested against.
extern const Conv2dKernel conv2d_reference;
/// Patches and GEMM; any float type, and in grad_w bf16 for one group.
extern const Conv2dKernel conv2d_im2col;
/// oneDNN, f32 only; primitives are cached by geometry and number of threads.
extern const Conv2dKernel conv2d_onednn;
/// oneDNN on operands of bf16, sums in f32: x and dy are bf16; w and bias, and what comes out, f32.
/// @throws Error  on a CPU without instructions for bf16, see cpu_has_bf16()
extern const Conv2dKernel conv2d_bf16;

}  // namespace isotape
