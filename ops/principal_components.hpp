#pragma once

#include <cstdint>
#include <vector>

#include <isotape/core/tensor.hpp>

namespace isotape {

/// The first principal components of points, in f64: where most of their variance lies.
struct PrincipalComponents {
  Tensor mean;                    ///< [m]
  Tensor directions;              ///< [k, m], orthonormal rows, by falling variance
  std::vector<double> variances;  ///< k, of the points along each, mean square

  /// Coordinates of points in the components.
  /// @param a  [n, m], f32 or f64
  /// @return   (a - mean) directions^T, [n, k], f64
  /// @throws ShapeError  if the points have another extent
  Tensor coordinates(const Tensor& a) const;
  /// The points nearest to a in the affine subspace of the components.
  /// @return  mean + coordinates(a) directions, [n, m], f64
  Tensor nearest(const Tensor& a) const;
};

/// Components of the rows of a: the right singular vectors of a less its mean, each with its
/// largest entry positive. Where singular values are equal, any basis of their space.
///
/// @param a      [n, m], n and m >= 1, f32 or f64
/// @param count  k in 1..min(n, m)
/// @throws ShapeError    if a is not a matrix
/// @throws ValueError    if k is out of range
/// @throws NumericError  if an entry is not finite
PrincipalComponents principal_components(const Tensor& a, std::int64_t count);

}  // namespace isotape
