#pragma once

#include <initializer_list>
#include <span>

#include <isotape/core/tape.hpp>

namespace isotape {

// Rearrangements: every output entry is one input entry. All are linear, 1-Lipschitz in l2, and
// GNP, but slice, which loses the gradient of what it leaves out.

/// The same entries in row-major order under another shape; shares the storage.
/// @throws ShapeError  if the number of elements differs
Var reshape(const Var& x, const Shape& shape);

/// Reorders the axes: axis i of y is axis order[i] of x.
/// @param order  a permutation of 0..rank-1
/// @throws ShapeError  if it is none
Var permute(const Var& x, std::span<const int> order);
Var permute(const Var& x, std::initializer_list<int> order);

/// Exchanges the last two axes.
/// @param x  matrix [m, n], or any batch of them
/// @throws ShapeError  if x has fewer than two axes
Var transpose(const Var& x);

/// Joins values along an axis, in order.
/// @param xs    at least one, equal in type and in all extents but that of the axis
/// @param axis  a negative one counts from the end
/// @throws ShapeError  if there is none, or shapes or types do not fit
Var concat(const Vars& xs, int axis);

/// Entries begin..end-1 of an axis. Of the outermost axis, shares the storage.
/// @param axis  a negative one counts from the end
/// @throws ShapeError  unless 0 <= begin <= end <= the extent of the axis
Var slice(const Var& x, int axis, std::int64_t begin, std::int64_t end);

}  // namespace isotape
