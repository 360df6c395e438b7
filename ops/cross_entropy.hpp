#pragma once

#include <cstdint>
#include <span>

#include <isotape/core/tape.hpp>

namespace isotape {

// Cross entropies for networks whose Lipschitz constant is bounded. Their logits f differ by
// little, so that the plain softmax sees no confident prediction: a temperature T below 1 makes it
// one, and an offset asks for a margin. Both are in units of the logits: where the net has
// Lipschitz constant 1 in the input, a lead of sqrt(2) eps of the right logit certifies the l2
// radius eps (pixels in [0, 1]). Each is the mean over a batch of rows; NaN in a row makes the loss
// NaN, and the gradient of that row.

struct TemperedOptions {
  double temperature = 1;  ///< T > 0, in units of the logits
  double offset = 0;       ///< o >= 0, in units of the logits: sqrt(2) eps asks for the radius eps
};

/// Softmax cross entropy with an offset and a temperature:
///
///     mean over rows of  -T log p_y,   p = softmax((f - o e_y) / T)
///
/// With o = 0 that of [Serrurier 2021] (whose tau is 1 / T); with o = 2 sqrt(2) eps and T = 1/4
/// that of [Prach 2022]; as T -> 0 it becomes max(0, max_{j != y} f_j - f_y + o). Lipschitz: sqrt(2
/// / N) in l2 over the whole batch of logits, whatever T and o.
///
/// @param logits  [N, C], N and C >= 1, f32 or f64
/// @param labels  N class numbers, in 0..C-1
/// @return        scalar, []
/// @throws ShapeError  if shapes do not fit; ValueError if a label or an option is out of range
Var tempered_cross_entropy(const Var& logits, std::span<const std::int32_t> labels,
                           const TemperedOptions& options);

struct AnnealingOptions {
  double temperature = 0.75;  ///< T > 0, in units of the logits
  double offset = 2;          ///< o >= 0, in units of the logits
  double beta = 5;            ///< >= 0; 0 anneals nothing
};

/// Logit annealing [Lai 2025]: the loss above, annealed where a row is well classified, so that the
/// capacity that is left goes to the others:
///
///     mean over rows of  -T (1 - p_y)^beta log p_y,   p = softmax((f - o e_y) / T)
///
/// Lipschitz: (1 + beta) sqrt(2 / N) in l2 over the whole batch of logits.
///
/// @param logits  [N, C], N and C >= 1, f32 or f64
/// @param labels  N class numbers, in 0..C-1
/// @return        scalar, []
/// @throws ShapeError  if shapes do not fit; ValueError if a label or an option is out of range
Var logit_annealing(const Var& logits, std::span<const std::int32_t> labels,
                    const AnnealingOptions& options);

/// Softmax cross entropy less gamma times the mean certified radius of a net of Lipschitz constant
/// 1 [Singla 2022]:
///
///     mean over rows of  -log softmax(f)_y - gamma max(0, f_y - max_{j != y} f_j) / sqrt(2)
///
/// The slope where the margin is exactly 0 is that of the cross entropy; of equal runners-up the
/// first takes the gradient. Not bounded below: a net without a bound of its own lets it fall for
/// ever.
/// Lipschitz: (sqrt(2) + gamma) / sqrt(N) in l2 over the whole batch of logits.
///
/// @param logits  [N, C], N >= 1 and C >= 2, f32 or f64
/// @param labels  N class numbers, in 0..C-1
/// @param gamma   >= 0, per unit of the input
/// @return        scalar, []
/// @throws ShapeError  if shapes do not fit; ValueError if a label or gamma is out of range
Var certificate_regularized(const Var& logits, std::span<const std::int32_t> labels, double gamma);

}  // namespace isotape
