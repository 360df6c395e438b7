#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// The N-activation, with two learnable kinks per channel [Prach 2023]:
///
///     y = x - 2 a  for x <= a,   -x  between,   x - 2 b  for x >= b,
///
/// a <= b; where a > b the two are exchanged, so that the bound holds for any. Unlike ReLU, whose
/// nets of bounded norm cannot even be |x|, 1-Lipschitz nets of it are universal on the line.
/// a = b = 0 is the identity. At a kink the slope is +1, and the gradient of the kink whole.
/// Lipschitz: 1 in l2 in x; GNP: yes, a sign at every point.
///
/// @param x  at least one axis, [..., C]
/// @param a  [C], of x's type
/// @param b  [C], of x's type
/// @return   [..., C]
/// @throws ShapeError  if x has no axis, or a or b does not fit
Var n_activation(const Var& x, const Var& a, const Var& b);

}  // namespace isotape
