#pragma once

#include <cstdint>
#include <span>

#include <isotape/core/tape.hpp>

namespace isotape {

// Efficient margin maximisation [Hu 2023], in three steps that a loss composes:
//
//     cross entropy of  emma_logits(f, distances, labels, slack),
//     distances = L class_distances(w),   slack = emma_slack(f, distances, labels, eps)
//
// for a net f(x) = w h(x) + b whose body h has Lipschitz constant L. Each class is raised by what
// it could gain on the right one within the radius at which it would draw level, eps at most: all
// threatening classes are penalised at once, and none beyond its need.

/// y_ij = |w_i - w_j| of the rows of a matrix. Where two rows are equal, also on the diagonal, the
/// gradient is 0. Lipschitz: sqrt(2 C) in l2.
///
/// @param w  weight of the last layer, [C, n], f32 or f64
/// @return   [C, C], symmetric
/// @throws ShapeError  if w is not a matrix
Var class_distances(const Var& w);

/// The radius at which class j is attacked in row i: that at which it draws level with the label y,
/// at least 1 % of eps, at most eps,
///
///     eps min(1, max(0.01, (f_iy - f_ij) / (eps d_yj)))
///
/// and 0 where d_yj is 0. It is a constant of the step: no gradient passes, as in the authors'
/// code.
///
/// @param logits     [N, C]
/// @param distances  [C, C], of the logits' type
/// @param eps        > 0, in units of the input
/// @return           [N, C], in units of the input
/// @throws ShapeError  if shapes do not fit; ValueError if a label or eps is out of range
Tensor emma_slack(const Tensor& logits, const Tensor& distances,
                  std::span<const std::int32_t> labels, double eps);

/// y_ij = f_ij + slack_ij d_(label_i)j: what class j can reach against the label within its slack,
/// up to the same number for the whole row.
/// Lipschitz: in f 1 in l2; GNP: yes.
///
/// @param logits     [N, C], f32 or f64
/// @param distances  [C, C], of the same type
/// @param slack      [N, C], of the same type
/// @return           [N, C]
/// @throws ShapeError  if shapes do not fit; ValueError if a label is out of range
Var emma_logits(const Var& logits, const Var& distances, std::span<const std::int32_t> labels,
                const Tensor& slack);

}  // namespace isotape
