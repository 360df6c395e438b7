#pragma once

#include <isotape/core/tape.hpp>
#include <isotape/ops/max_min.hpp>

namespace isotape {

/// Sorts x + bias over the last axis within groups of channels, descending [Anil 2019]: one pass
/// that keeps one byte per value (a float for groups beyond 256) for the gradient; backward is one
/// pass, too, that sums the bias's gradient on its way. Writes into x's own memory where nobody
/// else holds it: hand it over with std::move.
///
/// size = 2 is bias_max_min(), size = C sorts all channels. Ties: the derivative is undefined; the
/// sort is stable, so the earlier input takes the earlier place and each place routes its gradient
/// whole to one input. A NaN counts as larger than every number: the output is a permutation of
/// x + bias always.
/// Lipschitz: 1 in l2; GNP: yes, the Jacobian is a permutation.
///
/// @param x     at least one axis, [..., C]
/// @param bias  [C], of x's type, or absent
/// @param size  of a group, >= 1, divides C
/// @return      [..., C]
/// @throws ShapeError  if x has no axis or size does not divide C, or bias does not fit;
///                     ValueError if size < 1
Var bias_group_sort(Var x, const Var& bias, int size, Pairing pairing = Pairing::split);

/// bias_group_sort without a bias.
Var group_sort(Var x, int size, Pairing pairing = Pairing::split);

/// bias_group_sort over all channels at once, descending.
/// @throws ShapeError  if x has no axis or bias does not fit
Var bias_full_sort(Var x, const Var& bias);

/// bias_full_sort without a bias.
Var full_sort(Var x);

}  // namespace isotape
