#pragma once

#include <isotape/core/random.hpp>
#include <isotape/core/tape.hpp>
#include <isotape/ops/spectral_bound.hpp>

namespace isotape {

/// Outcome of a power iteration on w^T w: sigma = |w v| = u^T w v, u and v of length 1. An
/// *estimate*: at most the largest singular value, up to rounding. Proved bounds from above are in
/// ops/spectral_bound.hpp.
struct SpectralEstimate {
  double sigma = 0;
  Tensor u = {};  ///< [m]; zero for w = 0
  Tensor v = {};  ///< [n]
  int iterations = 0;
};

/// Power iteration from a random normal vector, drawn again while |w v| < 1e-3 ||w||_F (it would
/// have next to no component along the singular vectors that matter; the expectation is ||w||_F).
///
/// @param w           matrix [m, n], f32 or f64
/// @param iterations  products with w^T w, >= 1
/// @throws ShapeError, ValueError; NumericError  if an entry of w is not finite
SpectralEstimate spectral_norm(const Tensor& w, int iterations, Rng& rng);

/// The same from start.v, so that few iterations per step follow a weight in training; anew from a
/// random vector if that is absent, or lies in the null space by the measure above.
SpectralEstimate spectral_norm(const Tensor& w, int iterations, const SpectralEstimate& start);

/// y = w / sigma, sigma = u^T w v, which is divided out on both sides of 1: weights below it grow
/// too [Miyato 2018]. The gradient passes through sigma, with u and v constant:
///
///     grad_w = (dy - <dy, y> u v^T) / sigma
///
/// y and its gradient vanish where sigma = 0.
/// Lipschitz: an estimate of norm 1, above 1 by as much as sigma lies below the largest singular
/// value; GNP: no.
///
/// @param w     matrix [m, n]
/// @param u, v  [m], [n], of w's type: those of an estimate
Var spectral_normalize(const Var& w, const Tensor& u, const Tensor& v);

}  // namespace isotape
