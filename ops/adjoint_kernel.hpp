#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// The kernel of the transposed convolution: flipped, with its channels exchanged,
///
///     y[g I/G + i, a, b, o] = w[g O/G + o, h - 1 - a, v - 1 - b, i],   g < G groups.
///
/// Where conv2d with w puts a border (top, bottom, left, right) with top + bottom = h - 1 and
/// left + right = v - 1 around the image, circular or zero, conv2d with y and the border (bottom,
/// top, right, left) is its transpose.
/// Lipschitz: not applicable, maps weights and not activations.
///
/// @param w  [O, h, v, I / groups], f32 or f64
/// @return   [I, h, v, O / groups]
/// @throws ShapeError  if w has another rank or groups do not divide O
Var adjoint_kernel(const Var& w, std::int64_t groups = 1);

/// y = w - adjoint_kernel(w): a convolution with L^T = -L [Singla 2021, "SOC"]; exactly so after
/// rounding.
/// @param w  [C, h, v, C / groups], h and v odd, so that the kernel has a centre
/// @throws ShapeError  on other shapes
Var skew_kernel(const Var& w, std::int64_t groups = 1);

}  // namespace isotape
