#pragma once

#include <cstdint>
#include <vector>

#include <isotape/core/tape.hpp>

namespace isotape {

/// Weighted row sums of the absolute Gram kernel of the rows of w:
///
///     t_i = sum_j sum_d |G_d[i,j]| q_j / q_i,   G_d[i,j] = sum_a <w_i[a], w_j[a + d]>,
///
/// a over the taps, d over all their differences. Read w as the convolution W^T x of a layer, from
/// c to n channels (a matrix: one tap). Then W^T W <= diag(t) for any positive q, on the infinite
/// plane and so under zero and circular padding of images of any size: the rows of w divided by
/// sqrt(t_i) have an operator norm of at most 1. With q = 1 that is AOL [Prach & Lampert 2022],
/// with q learned SLL [Araujo 2023].
///
/// The gradient is that of |.|, with slope 0 at 0; a row of zeros has t_i = 0 and no gradient.
/// Lipschitz: not applicable, maps weights and not activations.
///
/// With groups, rows of one group meet none of another: those of the Gram kernel of a convolution
/// with as many.
///
/// @param w       [n, c] or [n, h, w, c], f32 or f64
/// @param q       [n], > 0, or absent for ones
/// @param groups  of neighbouring rows, divides n
/// @return        t, [n]
/// @throws ShapeError  on other shapes or types; ValueError if an entry of q is not positive
Var gram_row_sums(const Var& w, const Var& q = {}, std::int64_t groups = 1);

/// A proved upper bound of the norm of that convolution, for any image size as above (NaN for a w
/// with a NaN or an infinity):
/// the root of max_i sum_j sum_d |G_d[i,j]| p_j / p_i, computed in f64 with every rounding on the
/// safe side. It is sharp for weights that were rescaled by t^(-1/2), with p = q t^(1/2).
///
/// @param w       [n, c] or [n, h, w, c], f32 or f64
/// @param p       n weights; one outside of [1e-50, 1e50] counts as 1
/// @param groups  of neighbouring rows, divides n: then the largest bound of a group
/// @throws ShapeError  on other shapes
double weighted_gram_bound(const Tensor& w, const std::vector<double>& p, std::int64_t groups = 1);

}  // namespace isotape
