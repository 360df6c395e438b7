#pragma once

#include <cstdint>

#include <isotape/core/tape.hpp>

namespace isotape {

/// Which channels form a group of `size` out of C, and where its sorted values go.
enum class Pairing : std::uint8_t {
  split,     ///< channels g, g + C/size, g + 2 C/size, ...; the maxima fill the first C/size places
  adjacent,  ///< channels size g, size g + 1, ...; descending within the group
};

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

/// Group sort of pairs: (max(a, b), min(a, b)). The same as group_sort(x, 2), in one pass that
/// keeps one byte per pair for the gradient.
/// Lipschitz: 1 in l2; GNP: yes, the Jacobian is a permutation.
///
/// @param x  at least one axis, [..., C], C even
/// @return   [..., C]
/// @throws ShapeError  if x has no axis or C is odd
Var max_min(const Var& x, Pairing pairing = Pairing::split);

}  // namespace isotape
