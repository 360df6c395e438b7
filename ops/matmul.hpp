#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

struct MatmulOptions {
  bool trans_a = false;  ///< multiply by the transpose of a
  bool trans_b = false;  ///< multiply by the transpose of b
};

/// y = op(a) op(b), op(a) = a or a^T, of two matrices or of each pair in two batches of them.
///
/// Small matrices of a batch are shared out among the threads, one thread each; large ones are
/// multiplied by all threads. A product over an inner extent of 0 is zero.
/// Lipschitz: in each operand, the spectral norm of the other.
///
/// @param a  op(a) [m, k] or [batch, m, k], f32 or f64
/// @param b  op(b) [k, n] or [batch, k, n], of the same type
/// @return   [m, n] or [batch, m, n]
/// @throws ShapeError  if ranks, inner extents, batch extents or types differ
Var matmul(const Var& a, const Var& b, MatmulOptions options = {});

/// y = x w^T + bias, the map of a dense layer on a batch of rows.
/// Lipschitz: in x, the spectral norm of w.
///
/// @param x     [N, in], f32 or f64
/// @param w     [out, in]
/// @param bias  [out], or absent
/// @param precision  bf16: of the products of f32 values, forward and backward, where they are
///                   large enough to gain by it: 2^21 multiplications
/// @return      [N, out]
/// @throws ShapeError  if shapes or types do not fit; ValueError if the CPU has no bf16
Var affine(const Var& x, const Var& w, const Var& bias = {}, Precision precision = Precision::full);

}  // namespace isotape
