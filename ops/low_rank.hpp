#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

// The losses of low-rank representations [Sanyal 2020]: they pull the activations a_i of a layer,
// the rows of a [n, m], into the r-dimensional affine subspace of a matrix w of rank r. For fixed a
// the least projection loss is the variance beyond the r-th principal component, at w = U_r U_r^T,
// b = -mean(a). NaN makes them NaN.

/// Mean squared distance of the shifted activations to what w makes of them:
///
///     (1 / n) sum_i |z_i w - z_i|^2,   z_i = a_i + b
///
/// Lipschitz: no.
///
/// @param a  activations, [n, m], n and m >= 1, f32 or f64
/// @param w  [m, m], of the same type
/// @param b  [m], of the same type
/// @return   scalar, []
/// @throws ShapeError  if shapes or types do not fit
Var projection_loss(const Var& a, const Var& w, const Var& b);

/// Mean distance of the activations' norms from 1, which keeps a from shrinking to 0, where the
/// loss above would vanish:
///
///     (1 / n) sum_i |1 - |a_i||
///
/// Its gradient is 0 where |a_i| is 0 or 1. Lipschitz: 1 / sqrt(n) in l2 over the whole batch.
///
/// @param a  activations, [n, m], n and m >= 1, f32 or f64
/// @return   scalar, []
/// @throws ShapeError  if a is not a matrix
Var norm_loss(const Var& a);

}  // namespace isotape
