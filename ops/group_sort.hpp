#pragma once

#include <isotape/core/tape.hpp>
#include <isotape/ops/max_min.hpp>

namespace isotape {

/// Sorts the last axis within groups of channels, descending [Anil 2019].
///
/// size = 2 is max_min(), size = C sorts all channels. Ties: the derivative is undefined; the sort
/// is stable, so the earlier input takes the earlier place and each place routes its gradient whole
/// to one input. A NaN counts as larger than every number: the output is a permutation of the input
/// always.
/// Lipschitz: 1 in l2; GNP: yes, the Jacobian is a permutation.
///
/// @param x     at least one axis, [..., C]
/// @param size  of a group, >= 1, divides C
/// @return      [..., C]
/// @throws ShapeError  if x has no axis or size does not divide C; ValueError if size < 1
Var group_sort(const Var& x, int size, Pairing pairing = Pairing::split);

/// group_sort over all channels at once, descending. Ties, NaN, bound as there.
/// @throws ShapeError  if x has no axis
Var full_sort(const Var& x);

}  // namespace isotape
