#pragma once

#include <isotape/ops/conv2d_kernel.hpp>
#include <isotape/ops/frame.hpp>

namespace isotape {

/// A convolution of padded images and the fastest way to each of its passes, by the shape and the
/// type of the values.
struct FramedConv2d {
  Frame frame;              ///< from the images to those that are convolved
  Conv2dGeometry geometry;  ///< of the convolution of the padded images
  /// bf16: what is convolved is bf16, made in one pass, and what comes out f32.
  Precision precision = Precision::full;

  bool is_padded() const { return frame.padding != Padding{}; }
  /// The images that are convolved: what grad_w needs.
  Tensor padded(const Tensor& x) const;
  /// dy as grad_x and grad_w take it.
  Tensor operand(const Tensor& dy) const;

  /// @param padded_x  as padded() made it
  Tensor forward(const Tensor& padded_x, const Tensor& w, const Tensor& bias) const;
  /// The gradient of the images before padding.
  /// @param dy  as operand() made it
  Tensor grad_x(const Tensor& dy, const Tensor& w) const;
  Tensor grad_w(const Tensor& padded_x, const Tensor& dy) const;
};

}  // namespace isotape
