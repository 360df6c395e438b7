#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// Path norm of a two-layer net f(x) = a relu(W x + b) + c:
///
///     sum_l |a_l| sqrt(|w_l|^2 + 1e-30),   w_l the rows of W,
///
/// a bound of its Lipschitz constant in l2 for any activation with slopes in [-1, 1], but for
/// rounding. The gradient of w_l at w_l = 0 is 0, that of a_l at a_l = 0 the one from above, |w_l|.
/// An expression of other operations, not a node of its own.
///
/// @param w  [k, d]
/// @param a  [1, k]
/// @return   scalar
/// @throws ShapeError  for other shapes
Var path_norm(const Var& w, const Var& a);

}  // namespace isotape
