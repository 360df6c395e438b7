#pragma once

#include <isotape/core/tape.hpp>
#include <isotape/ops/frame.hpp>

namespace isotape {

/// The image with a border:
///
///     y[n, i, j, c] = x[n, i - top, j - left, c],
///
/// indices modulo H and W (circular), or 0 where they leave the image (zero). The gradient of
/// circular padding adds what falls on the border to the pixels it was copied from. Costs one pass
/// each way.
/// Lipschitz: 1 in l2 (zero; an isometry); circular: sqrt of the largest number of copies of a
/// pixel. A circular padding by k - 1 in all, followed by a k x k convolution without padding, is
/// the convolution on the torus.
///
/// @param x        activations, [N, H, W, C]
/// @param padding  each >= 0; circular: top and bottom <= H, left and right <= W
/// @return         [N, top + H + bottom, left + W + right, C]
/// @throws ShapeError  if x has not four axes; ValueError if padding is out of range
Var pad(const Var& x, const Padding& padding, PadMode mode);

}  // namespace isotape
