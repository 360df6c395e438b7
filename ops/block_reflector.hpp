#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// Reflection of the span of v's columns, "block reflector" [Schreiber & Parlett 1988; as a weight:
/// Lai 2025, BRO]:
///
///     y = I - 2 v (v^T v)^-1 v^T,   y symmetric and orthogonal, -1 on span v and +1 beside it.
///
/// No iteration: one Cholesky factorisation of [r, r]. The Gram matrix and its factor are in f64,
/// whatever the type, without a regulariser: y is orthogonal to rounding up to a condition of v of
/// 1e6, where cholesky_qr() gives up. Only the span counts: y does not change for v z, z regular.
/// The gradient is analytic: with q the orthonormal factor of v, v = q l^T,
///
///     grad_v = -2 (I - q q^T) (dy + dy^T) q l^-1.
///
/// Lipschitz: not applicable, maps weights and not activations; 1 for the weight y, GNP.
///
/// @param v  [n, r] or [b, n, r], 1 <= r <= n, f32 or f64; r <= n / 2 says all there is to say, as
///           -y has the complement
/// @return   [n, n] or [b, n, n]
/// @throws ShapeError on other shapes; NumericError as cholesky_qr, for v without full rank
Var block_reflector(const Var& v);

}  // namespace isotape
