#pragma once

#include <cstdint>

#include <isotape/core/tape.hpp>

namespace isotape {

/// Which channels form a group of `size` out of C, and where its sorted values go.
enum class Pairing : std::uint8_t {
  split,     ///< channels g, g + C/size, g + 2 C/size, ...; the maxima fill the first C/size places
  adjacent,  ///< channels size g, size g + 1, ...; descending within the group
};

/// Group sort of pairs [Anil 2019], of x + bias over the last axis: (max(a, b), min(a, b)). The
/// same as group_sort(x + bias, 2), in one pass that keeps one bit per pair for the gradient;
/// backward is one pass, too, that sums the bias's gradient on its way. Writes into x's own memory
/// where nobody else holds it: hand it over with std::move.
///
/// Ties: the derivative is undefined; the earlier input takes the earlier place, and each place
/// routes its gradient whole to one input. A NaN counts as larger than every number.
/// Lipschitz: 1 in l2; GNP: yes, the Jacobian is a permutation.
///
/// @param x     at least one axis, [..., C], C even
/// @param bias  [C], of x's type, or absent
/// @return      [..., C]
/// @throws ShapeError  if x has no axis or C is odd, or bias does not fit
Var bias_max_min(Var x, const Var& bias, Pairing pairing = Pairing::split);

/// bias_max_min without a bias.
Var max_min(Var x, Pairing pairing = Pairing::split);

}  // namespace isotape
