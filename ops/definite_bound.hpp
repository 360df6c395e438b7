#pragma once

#include <isotape/ops/spectral_bound.hpp>

namespace isotape {

// Proofs of definiteness by a factor that is checked, whoever computed it: with L from Cholesky's
// method, A = L L^T + E and ||E|| bounded from the computed residual, A + ||E|| I is positive
// semidefinite. Nothing rests on the factorisation's own error analysis [cf. Rump 2006].

/// A proved r > 0 with A + r I positive semidefinite, A symmetric [n, n], f64, of entries between
/// 2^-400 and 2^400 in size or zero. Infinite where Cholesky's method fails. Cost: 4/3 n^3.
double indefiniteness_bound(const Tensor& a);

/// Proved limits of the eigenvalues of a symmetric A [n, n], f64, close to the estimates of the
/// least and the largest, wherever those come from; -infinity or infinity if they are far off.
Enclosure eigenvalue_enclosure(const Tensor& a, double least, double largest);

}  // namespace isotape
