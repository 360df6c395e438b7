#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// Cayley transform: a matrix with orthonormal columns (rows, if m < n) of the shape of w.
///
///     w = [x; y], x [n, n], y [m-n, n],   z = x - x^T + y^T y,   f = (I + z)^-1
///     q = [(I - z) f; -2 y f] = [2 f - I; -2 y f],   q^T q = I   [Helfrich 2018, Wang 2023]
///
/// A square w is its x alone: q = (I + a)^-1 (I - a) with a = w - w^T skew, a rotation without the
/// eigenvalue -1. A wide w is transposed, transformed and transposed back; a stack of matrices is
/// transformed one by one, in parallel. I + z has a symmetric part >= I, hence is always regular,
/// |f| <= 1 and nothing iterates: w = 0 gives [I; 0]. Only the skew part of x matters. Where z is
/// large, what rounding took from orthonormality is restored; q itself keeps the relative error
/// |I + z| times the precision. The gradient reuses f and factorises nothing.
/// Lipschitz: not applicable, maps weights and not activations.
///
/// @param w  matrix, [m, n], or matrices, [b, m, n]
/// @return   [m, n] or [b, m, n]
/// @throws ShapeError  if w has another rank; NumericError if w is not finite or so large that
///                     rounding leaves no q near an orthonormal one
Var cayley(const Var& w);

}  // namespace isotape
