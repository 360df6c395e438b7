#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// The orthonormal factor of the QR factorisation, by Cholesky: of a w [m, n], m >= n,
///
///     w^T w = l l^T,   q = w l^-T,   so that w = q l^T with a positive diagonal of l;
///
/// of a wide w the transpose of that of w^T. No iteration and no spectrum: where only the span of
/// the columns matters, as for the projector q q^T, it stands in for the polar factor.
///
/// Gram matrix, Cholesky factor and products are in f64, whatever the type, and q is rounded once.
/// One pass leaves the defect |q^T q - I| at 1e-16 kappa^2, kappa = sigma_max / sigma_min; it is
/// followed by a second one on q in f64, and in f32 where kappa may exceed 1e4 [Yamamoto 2015]. Up
/// to kappa = 1e6, beyond which w^T w no longer shows w's rank, the defect is thus that of rounding
/// q: 1e-7 for f32, 1e-15 for f64.
///
/// The gradient is analytic. q does not depend on the scale of w: <grad, w> = 0.
///
/// Lipschitz: 1 for the weight q. GNP: yes.
///
/// @param w  matrix [m, n], or several, [b, m, n]; f32 or f64. Small ones are distributed over the
///           threads, large ones use all threads of BLAS in turn
/// @return   of w's shape
/// @throws ShapeError    on other shapes
/// @throws NumericError  if an entry of w is not finite, or kappa exceeds 1e6
Var cholesky_qr(const Var& w);

}  // namespace isotape
