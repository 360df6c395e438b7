#pragma once

#include <cstdint>
#include <span>

#include <isotape/core/tape.hpp>

namespace isotape {

// Losses of optimal transport: a 1-Lipschitz f that minimises them approaches the Kantorovich dual
// of the Wasserstein-1 distance between a class and the rest, in units of the input, with the sign
// changed. They have a minimum for networks of bounded Lipschitz constant only; any other lets them
// fall for ever. Scores are [N, C], one per class against the rest, or [N, 1] for two classes,
// where label 1 is the class and 0 the rest. NaN in a row makes the loss NaN, and the gradient of
// that row.

/// Kantorovich-Rubinstein: less the estimated Wasserstein-1 distance [Anil 2019; Serrurier 2021],
///
///     mean over classes c of  mean_{y != c} f_c - mean_{y = c} f_c
///
/// A mean over no row is 0. Linear in f. Over the whole batch of scores the l1 norm of its gradient
/// is at most 2, so it is 2-Lipschitz in the largest change of a score.
///
/// @param scores  [N, C], N and C >= 1, f32 or f64
/// @param labels  N class numbers, in 0..C-1; in 0..1 for C = 1
/// @return        scalar, []
/// @throws ShapeError  if shapes do not fit; ValueError if a label is out of range
Var kantorovich_rubinstein(const Var& scores, std::span<const std::int32_t> labels);

struct HkrOptions {
  double lambda = 10;  ///< weight of the hinge, >= 0
  double margin = 1;   ///< >= 0, in units of the input for a score of Lipschitz constant 1
};

/// Hinge-Kantorovich-Rubinstein [Serrurier 2021]: with s_c = 1 for y = c, else -1,
///
///     mean over classes c of  mean_{y != c} f_c - mean_{y = c} f_c
///                             + lambda mean over rows of max(0, margin - s_c f_c)
///
/// The slope of the hinge where it is exactly 0 is 0. Where the hinge is 0, a score of Lipschitz
/// constant 1 keeps its sign under every change of the input shorter than the margin.
/// Lipschitz: 2 + lambda in the largest change of a score.
///
/// @param scores  [N, C], N and C >= 1, f32 or f64
/// @param labels  N class numbers, in 0..C-1; in 0..1 for C = 1
/// @return        scalar, []
/// @throws ShapeError  if shapes do not fit; ValueError if a label or an option is out of range
Var hkr(const Var& scores, std::span<const std::int32_t> labels, const HkrOptions& options);

struct SoftHkrOptions {
  double lambda = 10;
  double margin = 1;
  double temperature =
      1;  ///< T > 0, in units of the scores; as T -> 0 the runner-up has all weight
};

/// HKR of each row, its other classes weighted by their softmax [Serrurier 2024]:
///
///     mean over rows of  h_y + sum_{j != y} p_j h_j,   p = softmax_{j != y}(f_j / T),
///     h_y = -f_y + lambda max(0, margin - f_y),   h_j = f_j + lambda max(0, margin + f_j)
///
/// so that many classes do not drown the one that threatens. T is fixed; the authors' code adapts
/// it to a running mean of |f|.
///
/// @param scores  [N, C], N >= 1 and C >= 2, f32 or f64
/// @param labels  N class numbers, in 0..C-1
/// @return        scalar, []
/// @throws ShapeError  if shapes do not fit; ValueError if a label or an option is out of range
Var soft_hkr(const Var& scores, std::span<const std::int32_t> labels,
             const SoftHkrOptions& options);

}  // namespace isotape
