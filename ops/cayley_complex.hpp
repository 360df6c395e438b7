#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// Cayley transform of complex matrices, one per frequency of a spectrum.
///
///     w = [x; y], x [n, n], y [m-n, n],   z = x - x^H + y^H y,   f = (I + z)^-1
///     q = [(I - z) f; -2 y f] = [2 f - I; -2 y f],   q^H q = I     [Trockman 2021, Wang 2023]
///
/// Complex entries are a trailing extent of 2. A wide w is transposed (not conjugated), transformed
/// and transposed back: q q^H = I. The matrices are shared out among the threads. I + z has a
/// hermitian part >= I, hence is always regular and |f| <= 1; the defect of q is a few roundings.
/// The gradient reuses f and factorises nothing. Real and imaginary parts are real variables: a
/// real w gives what cayley() gives.
/// Lipschitz: not applicable, maps weights and not activations.
///
/// @param w  [b, m, n, 2]
/// @return   [b, m, n, 2]
/// @throws ShapeError  if w has another shape; NumericError if w is not finite, or so large that
///                     q is not
Var cayley_complex(const Var& w);

}  // namespace isotape
