#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

// Weights divided by what bounds a norm of theirs. In each an exact zero stays zero, with a zero
// gradient, and nothing is added to a denominator.

/// y_i = w_i / |w_i|_2, row by row: the last layer whose margins need no norm [Singla 2022, "LLN"].
/// Lipschitz, as a weight [m, n]: 1 in each output by itself, |y|_2 <= |y|_F <= sqrt(m) together:
/// *not* 1.
/// @param w  rows along the outermost axis, of any rank >= 1
Var unit_rows(const Var& w);

/// y = w / |w|_F. Lipschitz, as a matrix: |y|_2 <= |y|_F = 1.
/// @param w  of any shape; of a stack use unit_rows
Var unit_frobenius(const Var& w);

/// y_i = w_i / sqrt(t_i), row by row; zero, with zero gradients, where t_i is.
/// @param w  rows along the outermost axis
/// @param t  [rows], >= 0
Var rescale_rows(const Var& w, const Var& t);

/// y_i = the nearest row to w_i with |y_i|_1 <= 1, so that |y x|_inf <= |x|_inf as a matrix and,
/// for kernels [O, h, w, I], as a convolution of any padding [Anil 2019]:
///
///     y = sign(w) max(|w| - tau, 0),   tau >= 0 with |y|_1 = 1, or 0 inside [Condat 2016].
///
/// Rows of |w|_1 <= 1 stay as they are. The gradient is that of the projection, tau included: on
/// the s entries that remain, g - sign (sign . g) / s; the others have none. In l2: no bound of
/// its own.
/// @param w  rows along the outermost axis
/// @throws NumericError  if an entry is not finite
Var project_rows_l1(const Var& w);

}  // namespace isotape
