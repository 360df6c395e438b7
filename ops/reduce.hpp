#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

// Reductions accumulate in f64, in an order that depends on the shape only: the bits are the same
// for any number of threads.

/// Sum of all entries; 0 for none. Lipschitz: sqrt(n) in l2, n the number of entries.
/// @return  scalar, []
Var sum(const Var& x);

/// Sum along an axis, which is dropped. Lipschitz: sqrt(n) in l2, n the extent of the axis.
/// @param axis  a negative one counts from the end
/// @throws ShapeError  if there is no such axis
Var sum(const Var& x, int axis);

/// Mean of all entries. Lipschitz: 1 / sqrt(n) in l2, n the number of entries.
/// @return  scalar, []
/// @throws ShapeError  if there is none
Var mean(const Var& x);

/// Mean along an axis, which is dropped. Lipschitz: 1 / sqrt(n) in l2, n the extent of the axis.
/// @param axis  a negative one counts from the end
/// @throws ShapeError  if there is no such axis, or it has no entries
Var mean(const Var& x, int axis);

/// l2 norm of all entries, sqrt(sum_i x_i^2), without overflow or underflow in between. The
/// gradient is x / norm(x), and zero at x = 0. Lipschitz: 1 in l2; GNP: yes, but at 0.
/// @return  scalar, []
Var norm(const Var& x);

}  // namespace isotape
