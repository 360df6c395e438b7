#pragma once

#include <string>

#include <isotape/core/tensor.hpp>

namespace isotape {

/// Proved limits: every singular value lies in [lower, upper]; and the rule that proves them, in
/// words, where somebody states it.
struct Enclosure {
  double lower = 0;
  double upper = 0;
  std::string rule = {};
};

// Proved upper bounds of the largest singular value of a matrix [m, n], f32 or f64, as its entries
// are stored: computed in f64, with every rounding and underflow on the safe side. They hold for
// any order of summation, with or without fused multiply-add, in the rounding mode to nearest.
// Zero for the zero or an empty matrix; NaN for one with a NaN; infinity for one with an infinity
// or on overflow: never a number that is too small.

/// ||w||_F. Cost: m n.
double frobenius_bound(const Tensor& w);

/// (||w||_1 ||w||_inf)^1/2, the largest column and row sum of |w|. Sharp for permutations and for
/// matrices of equal entries. Cost: m n.
double row_column_bound(const Tensor& w);

/// ||(w^T w)^32||_F^(1/64), by repeated squaring of the Gram matrix on the small side: too large by
/// the factor rank^(1/128) at most [Delattre 2023]. Cost: one Gram matrix, 5 squarings.
double gram_bound(const Tensor& w);

/// A bound of ||w^T w - I||, w^T w on the small side, by powers of the signed residual. Every
/// singular value (of the small side) lies within (1 +- this)^1/2.
double isometry_defect_bound(const Tensor& w);

/// (c + ||w^T w - c I||)^1/2, w^T w on the small side and c its mean diagonal: for weights that are
/// a multiple of an orthonormal matrix up to rounding, exact to a few parts in 1e8 of f32.
double near_isometry_bound(const Tensor& w);

/// The least of them all.
double spectral_norm_bound(const Tensor& w);

/// Proved limits of the min(m, n) singular values: (c +- ||w^T w - c I||)^1/2 where that residual
/// is below c / 1000, to a few parts in 1e8 for orthonormal weights rounded to f32; else from the
/// eigenvalues of w^T w, which are estimated and proved by two checked Cholesky factors, the upper
/// one to about 1e-13 k of the norm, the lower one's square to as much of the norm's, k = min(m,
/// n). Cost: one Gram matrix; 5 squarings, or about 6 k^3 more.
Enclosure singular_value_enclosure(const Tensor& w);

}  // namespace isotape
