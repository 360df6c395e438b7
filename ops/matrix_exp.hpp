#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// Exponential of a square matrix:
///
///     y = exp(a) = sum_k a^k / k!,   by y = p(a / 2^s)^(2^s) with |a / 2^s|_1 <= 1/2,
///
/// p the Taylor polynomial of degree 15, which is exact to 1e-18 there, in 6 products
/// [Paterson & Stockmeyer 1973]. Of a skew a it is a rotation. The gradient is the Frechet
/// derivative at a^T, exp'(a^T)[dy], by the recurrence of the squarings: no more is kept than the
/// squares. A stack of matrices is transformed one by one, in parallel.
/// Lipschitz: not applicable, maps weights and not activations; 1 for the weight of a skew a, GNP.
///
/// @param a  [n, n] or [b, n, n], f32 or f64
/// @return   of a's shape
/// @throws ShapeError  on other shapes; NumericError if |a|_1 is not finite or exceeds 2^20
Var matrix_exp(const Var& a);

/// A matrix with orthonormal columns (rows, if m < n): the first n columns of a rotation,
///
///     w = [x; y], x [n, n],   q = exp([x - x^T, -y^T; y, 0]) [I; 0],
///
/// which is what the geodesic of the orthogonal group from the identity in direction w reaches. A
/// wide w is transposed, transformed and transposed back; w = 0 gives [I; 0].
/// Lipschitz: not applicable, maps weights and not activations; 1 for the weight q, GNP.
///
/// @param w  [m, n] or [b, m, n], f32 or f64
/// @return   of w's shape
/// @throws as matrix_exp
Var skew_exp(const Var& w);

}  // namespace isotape
