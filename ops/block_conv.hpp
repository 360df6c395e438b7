#pragma once

#include <cstdint>

#include <isotape/core/tape.hpp>

namespace isotape {

/// Convolution kernel of block-convolved projectors (BCOP): an orthogonal convolution under
/// circular padding, as orthogonal as the matrices it is made of.
///
///     P = R R^T,  R = the first floor(c/2) columns of a matrix; Q likewise
///     blk(P, Q) = [ P Q        P (I - Q)       ]
///                 [ (I - P) Q  (I - P) (I - Q) ]
///     B = blk(P1, Q1) # blk(P2, Q2) # ...,   (X # Y)[i, j] = sum_ab X[a, b] Y[i - a, j - b]
///     kernel[:, row j, column i, :] = (H B[i, j])^T   if c_in <= c_out,
///                                     H^T B[i, j]     otherwise
///
/// with H the first c_in rows and c_out columns of matrix 0 [Li 2019, Xiao 2018]. The sum of all
/// taps is H^T, and k = 1 gives H^T. The other columns of the P and Q matrices have no influence
/// and get the gradient 0. Cost: 2 c^2 min(c_in, c_out) flops per tap of each of the 2k-2
/// intermediate kernels; the gradient twice that.
///
/// Lipschitz: |H| prod max(1, 2 |R|^2 - 1) in l2, under circular or zero padding: an iteration
/// that has not converged (sigma < 1) costs orthogonality, never the bound. With orthonormal
/// matrices and circular padding the convolution is an isometry if c_in <= c_out, the adjoint of
/// one if c_in >= c_out. GNP: yes if c_in >= c_out.
///
/// @param orthogonal  H, P1, Q1, P2, Q2, ..: matrices with orthonormal columns, [2k-1, c, c]
/// @param c_in        input channels, >= 1
/// @param c_out       output channels, >= 1; c = max(c_in, c_out)
/// @return            kernel, [c_out, k, k, c_in]
/// @throws ShapeError  if `orthogonal` has another shape; ValueError if c_in or c_out is below 1
Var bcop_kernel(const Var& orthogonal, std::int64_t c_in, std::int64_t c_out);

/// The same kernel from what it depends on: H, and of the P and Q matrices the columns R alone.
///
/// @param h      H: [1, c, c] or [c, c]
/// @param bases  R of P1, Q1, P2, Q2, ..: matrices with orthonormal columns, [2(k-1), c,
///               floor(c/2)]; with c = 1 or k = 1, where there are none, use the form above
/// @throws ShapeError  if a shape differs, or the types; ValueError as above
Var bcop_kernel(const Var& h, const Var& bases, std::int64_t c_in, std::int64_t c_out);

}  // namespace isotape
