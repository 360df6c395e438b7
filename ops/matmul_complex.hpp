#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// y_f = a_f b_f, or a_f b_f^H: a product of complex matrices per frequency f, complex entries as a
/// trailing extent of 2. Frequencies are shared out among the threads. Real and imaginary parts are
/// real variables: grad_a = dy b^H, grad_b = a^H dy, or dy b and dy^H a.
/// Lipschitz: in each operand, the largest spectral norm of the other's matrices.
///
/// @param a        [F, m, k, 2], f32 or f64
/// @param b        [F, k, n, 2], or [F, n, k, 2] if adjoint, of the same type
/// @param adjoint  multiply by the adjoint of b
/// @return         [F, m, n, 2]
/// @throws ShapeError  if shapes or types do not fit
Var matmul_complex(const Var& a, const Var& b, bool adjoint = false);

}  // namespace isotape
