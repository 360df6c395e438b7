#pragma once

#include <isotape/core/tape.hpp>
#include <isotape/ops/max_min.hpp>

namespace isotape {

/// The largest of each group of channels [Goodfellow 2013]: the first C/size channels of
/// group_sort(x, size) alone.
///
/// Ties: the earliest input takes the gradient whole. A NaN counts as larger than every number.
/// Lipschitz: 1 in l2; GNP: of gradients, J J^T = I, since each output is one input.
///
/// @param x     at least one axis, [..., C]
/// @param size  of a group, >= 1, divides C
/// @return      [..., C/size]
/// @throws ShapeError  if x has no axis or size does not divide C; ValueError if size < 1
Var maxout(const Var& x, int size, Pairing pairing = Pairing::split);

}  // namespace isotape
