#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

// Products with Cayley transforms that never form the transform. With w = [x; y], x [n, n],
//
//     f = (I + x - x^T + y^T y)^-1,   q = cayley(w) = [2 f - I; -2 y f]   [m, n], m >= n,
//
// q is known by w and f. Forming -2 y f, and carrying the gradient of q back through it, takes
// three products of (m - n) n^2; a product with N rows through f takes N n^2 instead: fewer for a
// batch of N < m - n rows.

/// f. Its gradient, with h the gradient of f and g = -f^T h f^T: [g - g^T; y (g + g^T)].
/// Lipschitz: not applicable, maps weights and not activations.
///
/// @param w  [m, n], m >= n, f32 or f64
/// @return   [n, n]
/// @throws ShapeError  if w has another shape; NumericError if w is not finite, or so large that f
///                     is not
Var cayley_factor(const Var& w);

/// a q = 2 (a_x - a_y y) f - a_x, a = [a_x, a_y].
/// Lipschitz: 1 in l2, in a.
///
/// @param a  [N, m]
/// @param w  [m, n]
/// @param f  cayley_factor(w)
/// @return   [N, n]
Var multiply_cayley(const Var& a, const Var& w, const Var& f);

/// a q^T = [2 a f^T - a, -2 a f^T y^T].
/// Lipschitz: 1 in l2, in a; GNP: no, q^T q = I keeps the norm of a alone.
///
/// @param a  [N, n]
/// @return   [N, m]
Var multiply_cayley_transposed(const Var& a, const Var& w, const Var& f);

}  // namespace isotape
