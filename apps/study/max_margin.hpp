#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <isotape/core/tensor.hpp>

namespace isotape {

/// A linear classifier f(x) = W x + b of points, trained for a wide margin.
struct MaxMargin {
  Tensor weight;  ///< [C, k], f64
  Tensor bias;    ///< [C], f64

  /// @param points  [n, k]
  /// @return        [n, C], f64
  Tensor logits(const Tensor& points) const;
  /// The distance of each point to the nearest border of its class,
  ///
  ///     min_{j != y} (f_y - f_j) / |w_y - w_j|
  ///
  /// below 0 where it is misclassified.
  std::vector<double> distances(const Tensor& points, std::span<const std::int32_t> labels) const;
};

/// Minimises the hinge loss of all pairs of classes [Weston 1999] and the squared weights,
///
///     (1/n) sum_i sum_{j != y_i} max(0, 1 - f_y + f_j) + (decay / 2) |W|_F^2,   decay = 1e-3,
///
/// by 400 steps of Adam on all points, from 0, in units in which their mean square is 1: most of
/// the way to the widest margin, not all of it.
///
/// @param points  [n, k], f32 or f64
/// @param labels  n classes, below `classes`
/// @throws ShapeError, ValueError  if they do not fit
MaxMargin fit_max_margin(const Tensor& points, std::span<const std::int32_t> labels,
                         std::int64_t classes, const std::function<void()>& check_interrupt);

}  // namespace isotape
