#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// y = x - mean of x along an axis, for all other axes by themselves: the orthogonal projection
/// onto what has mean 0 there. Means are taken in f64.
/// Lipschitz: 1 in l2 (a projection, not 1 + 1); GNP: no, the gradient of the mean is lost.
///
/// @param axis  a negative one counts from the end
/// @throws ShapeError  if there is no such axis, or it has no entries
Var center(const Var& x, int axis);

}  // namespace isotape
