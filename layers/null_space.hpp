#pragma once

#include <isotape/core/random.hpp>

namespace isotape {

/// A matrix of full rank that agrees with w [m, n] (f64) on w's numerical range: where singular
/// values are at most `tolerance` times the largest, `sigma` times an orthonormal basis of the null
/// space, drawn from rng, is added. Returns w itself (the same storage) if its rank is full.
/// @throws NumericError  if w is not finite
Tensor complete_rank(const Tensor& w, double sigma, Rng& rng, double tolerance = 1e-7);

}  // namespace isotape
