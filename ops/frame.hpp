#pragma once

#include <cstdint>

#include <isotape/core/tensor.hpp>

namespace isotape {

/// What stands beyond the border of an image.
enum class PadMode : std::uint8_t {
  zero,
  circular,  ///< the opposite side: the image is a torus
};

/// Rows and columns to add on each side of an image.
struct Padding {
  int top = 0;
  int bottom = 0;
  int left = 0;
  int right = 0;
  friend bool operator==(const Padding&, const Padding&) = default;
};

/// Images [N, H, W, C] and their padded copies [N, top + H + bottom, left + W + right, C]; the maps
/// between the two, on plain tensors, for ops that pad. Consistent, as pad() makes it.
struct Frame {
  std::int64_t images, height, width, channels;
  Padding padding;
  PadMode mode;

  Frame(const Shape& x, const Padding& padding, PadMode mode);
  std::int64_t padded_height() const { return padding.top + height + padding.bottom; }
  std::int64_t padded_width() const { return padding.left + width + padding.right; }
  Shape shape() const { return {images, height, width, channels}; }
  Shape padded_shape() const { return {images, padded_height(), padded_width(), channels}; }
};

/// The padded copy, in one pass, rounded to bf16 on the way if x is f32 and `to` is bf16; of x's
/// type otherwise.
Tensor framed(const Frame& frame, const Tensor& x, DType to);
inline Tensor framed(const Frame& frame, const Tensor& x) { return framed(frame, x, x.dtype()); }

/// The transpose of framed(): the middle, and on it what a circular border holds. One pass.
///
/// dy may be cut into blocks of s x s pixels, which a convolution of stride s whose kernel s
/// divides sees as one pixel of s s C channels: then it is [N, h, w, s s C], channel (a s + b) C +
/// c of (p, q) being channel c of the padded pixel (p s + a, q s + b). Rows and columns beyond h s
/// and w s are zero.
Tensor unframed(const Frame& frame, const Tensor& dy, std::int64_t s = 1);

}  // namespace isotape
