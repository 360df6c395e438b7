#pragma once

#include <isotape/ops/conv2d.hpp>

namespace isotape {

/// The size of what conv_transpose2d() makes. A convolution of stride s maps s sizes per axis to
/// the same one, so one of them is to be chosen: the least, or that with as many rows and columns
/// more as `extra` says, 0 <= extra < s, or `height` x `width` outright, both given.
struct TransposedSize {
  int extra = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
};

/// Transposed convolution: the adjoint of conv2d with the same w and options, plus a bias,
///
///     <conv_transpose2d(x, w), z> = <x, conv2d(z, w)>   for all images z of the size of the
///     result,
///
/// and so, before what is padded is cut off (zeros) or added to the other side (circular),
///
///     y[n, i stride + a dilation - padding, ..., g F/groups + f]
///         = bias[g F/groups + f] + sum over i, a and the channels c of group g of
///           w[c, a, b, f] x[n, i, j, c].
///
/// Runs as the gradients of conv2d do, and its own gradients as conv2d: see there. Lipschitz: none
/// by itself; its singular values are those of that convolution.
///
/// @param x     activations, [N, H, W, C]
/// @param w     filters of the convolution from F to C channels, [C, kh, kw, F/groups]
/// @param bias  [F], or absent
/// @return      [N, (H - 1) stride + (kh - 1) dilation + 1 + extra - 2 padding - top - bottom, ...,
///              F], top and bottom those of the border
/// @throws ShapeError  if the shapes or types do not fit, no pixel is left, or the convolution does
///                     not map the given size to that of x; ValueError if an option is out of range
///                     or the CPU has no bf16
Var conv_transpose2d(const Var& x, const Var& w, const Var& bias = {},
                     const Conv2dOptions& options = {}, const TransposedSize& size = {});

}  // namespace isotape
