#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// The orthonormal factor of the QR factorisation, as a product of Householder reflectors:
///
///     w = q r,   q^T q = I,   r upper triangular with r_ii > 0,   w [m, n], m >= n;
///
/// of a wide w the transpose of that of w^T. The sign of r's diagonal is what makes q unique, and
/// smooth wherever w has full rank: LAPACK's own sign jumps. Unlike cholesky_qr(), q is orthonormal
/// to rounding whatever the condition of w; its gradient grows with that condition.
///
/// Works in f64, whatever the type, and rounds once. The gradient is analytic and orthogonal to w.
/// Lipschitz: 1 for the weight q. GNP: yes.
///
/// @param w  [m, n] or [b, m, n], f32 or f64; matrices of a stack in parallel
/// @return   of w's shape
/// @throws ShapeError    on other shapes
/// @throws NumericError  if an entry of w is not finite, or an r_ii is zero to rounding: at most
///                       1e-14 |w|_F
Var householder_qr(const Var& w);

}  // namespace isotape
