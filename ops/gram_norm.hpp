#pragma once

#include <cstdint>

#include <isotape/core/tape.hpp>

namespace isotape {

/// The square of an upper bound of a matrix's largest singular value, with its gradient:
///
///     s^2 = ||G^32||_F^(1/32),   G = w w^T or w^T w, the smaller,   |w|_2 <= s <= rank^(1/128)
///     |w|_2
///
/// by five squarings [Delattre 2023]: at most 5 % above for 512 rows. The gradient is that of this
/// map, grad of log s^2 = 2 G^63 w / ||G^32||_F^2, and not that of |w|_2, which jumps where two
/// singular values cross. Zero, with a zero gradient, for w = 0. For a proof of a weight in use
/// see spectral_norm_bound(); this value is rounded as it comes.
/// Lipschitz: not applicable, maps weights and not activations.
///
/// @param w  [m, n], f32 or f64
/// @return   s^2, [1]
/// @throws ShapeError  if w is not a matrix; NumericError if an entry is not finite
Var gram_norm_squared(const Var& w);

/// The same for the convolution with a kernel, at any image size and under zero or circular
/// padding: h v times that of the kernel as a matrix of O or of O h v rows, whichever is less
/// [Singla 2021, two of the "fantastic four"].
///
/// @param w       [O, h, v, I / groups]
/// @param groups  divides O
/// @return        s^2 of each group, [groups]
/// @throws ShapeError  if w is not a kernel or groups do not fit; NumericError as above
Var conv_norm_squared(const Var& w, std::int64_t groups = 1);

}  // namespace isotape
