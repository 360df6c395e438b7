#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// The direction of x at a learned length: y = alpha x / |x|, |x| the l2 norm of all entries.
///
///     s = <x, dy>,   dalpha = s / |x|,   dx = (alpha / |x|) (dy - x s / |x|^2)
///
/// x = 0 gives y = 0 and zero gradients. [Salimans 2016, Wang 2023]
/// Lipschitz: not applicable, maps weights and not activations.
///
/// @param x      of any shape, f32 or f64
/// @param alpha  one entry, of the same type
/// @throws ShapeError  if alpha has more entries or another type
Var rescale(const Var& x, const Var& alpha);

}  // namespace isotape
