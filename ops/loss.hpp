#pragma once

#include <cstdint>
#include <span>

#include <isotape/core/tape.hpp>

namespace isotape {

// Losses of a classifier: the mean over a batch of rows of logits f with labels y. NaN in a row
// makes the loss NaN, and the gradient of that row.

/// Softmax cross entropy, in the form that cannot overflow:
///
///     mean over rows of  log(sum_j exp(f_j - m)) + m - f_y,   m = max_j f_j
///
/// Lipschitz: sqrt(2 / N) in l2 over the whole batch of logits.
///
/// @param logits  [N, C], N and C >= 1, f32 or f64
/// @param labels  N class numbers, in 0..C-1
/// @return        scalar, []
/// @throws ShapeError  if shapes do not fit; ValueError if a label is out of range
Var softmax_cross_entropy(const Var& logits, std::span<const std::int32_t> labels);

/// Multi-class hinge, scaled as torch's multi_margin_loss with p = 1:
///
///     mean over rows of  (1 / C) sum_{j != y} max(0, margin - f_y + f_j)
///
/// The slope where a term is exactly 0 is 0. With logits of Lipschitz constant L in the input, a
/// margin of sqrt(2) L eps asks for robustness within eps.
/// Lipschitz: 1 / sqrt(N) in l2 over the whole batch of logits.
///
/// @param logits  [N, C], N and C >= 1, f32 or f64
/// @param labels  N class numbers, in 0..C-1
/// @param margin  finite, >= 0, in units of the logits
/// @return        scalar, []
/// @throws ShapeError  if shapes do not fit; ValueError if a label or the margin is out of range
Var multi_margin(const Var& logits, std::span<const std::int32_t> labels, double margin);

}  // namespace isotape
