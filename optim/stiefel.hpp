#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <isotape/core/tensor.hpp>
#include <isotape/layers/parameter.hpp>

namespace isotape {

// Movement on scale * St(m, n), the matrices W = scale Q with orthonormal columns (rows, if wide).
// A value is one such matrix, [m, n], several, [b, m, n], or a kernel [O, h, w, I] read as
// [O, h w I]; f32 or f64. All matrices of a list are independent jobs: small ones are distributed
// over the threads, largest first, large ones use all threads of BLAS in turn.

/// A value on a manifold, and a direction in which to move it: of its shape and type.
struct ManifoldMove {
  std::string_view name;  ///< for errors
  Tensor* value;
  Tensor* direction;
  Stiefel manifold;
};

/// What retractions took, per matrix.
struct RetractionStats {
  std::int64_t matrices = 0;   ///< matrices moved
  std::int64_t steps = 0;      ///< steps of order 1, of all together
  int max_steps = 0;           ///< most for one matrix
  std::int64_t shortened = 0;  ///< moves that had to be scaled down to the bound
  std::int64_t exact = 0;      ///< matrices that the steps did not bring back: by their spectrum
  double max_defect = 0;       ///< largest max |Q^T Q - I| left, but for the last step's rounding

  double mean_steps() const {
    return matrices == 0 ? 0 : static_cast<double>(steps) / static_cast<double>(matrices);
  }
  RetractionStats& operator+=(const RetractionStats& other);
};

/// Replaces each direction G by its orthogonal projection to the tangent space at W = scale Q,
///
///     G - Q sym(Q^T G),   sym(A) = (A + A^T) / 2      [Edelman 1998]
///
/// (of transposes, if wide). The projection does not depend on the scale.
void project_to_tangent(std::span<const ManifoldMove> moves);

/// Moves each value W = scale Q along its direction D, in units of W, and back to the manifold:
///
///  1. D is projected to the tangent space; the singular values of W + D are then those of
///     scale (I + d^T d)^1/2, d = D / scale: none shrinks.
///  2. d is scaled down, if need be, so that a proved bound of its spectral norm is at most 1/2:
///     all singular values of Q + d lie in [1, sqrt(5) / 2], where the next steps contract.
///  3. Y = W + D is replaced by its polar factor, by steps of order 1, Y <- Y (I - E / 2) with
///     E = Y^T Y / scale^2 - I; the first one, Y <- Y (a I - b E), with the a and b that leave
///     least of singular values between 1 and the bound [Grishina 2025]. Where one side is at least
///     twice the other they are taken on the small side alone, E <- (E^3 - 3 E^2) / 4, and once on
///     Y. They end when the measured defect, max |E|, is at most stiefel_tolerance() and the
///     Frobenius norm of E within rounding, or with the step whose result is bound to be so by the
///     measured E before it; after 8 steps, or for a value that lies too far off, the polar factor
///     is taken exactly. A move that stretches by more than rounding is followed by one step at
///     least: what small moves leave within the tolerance would add up.
///
/// Directions are overwritten.
///
/// @throws NumericError  `retract: expected a finite step of fc1.raw, got nan`; and if a value has
///                       lost its rank
RetractionStats retract(std::span<const ManifoldMove> moves);

/// max |Q^T Q - I| over the matrices of a value, on the small side, measured in f64.
double stiefel_defect(const Tensor& value, const Stiefel& manifold);

/// The defect that retract() leaves at most: 1e-6 for f32, 1e-12 for f64.
double stiefel_tolerance(DType dtype);

}  // namespace isotape
