#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include <isotape/core/tape.hpp>

namespace isotape {

/// How the polar factor is computed. Both paths give the same factor and the same gradient.
enum class BjorckPath : std::uint8_t {
  automatic,  ///< exact: the gradient needs the spectrum, so that the fast path only adds to it
  exact,      ///< spectrum of the Gram matrix in f64, whatever the element type; rounded once
  fast,       ///< the iteration itself in the element type; falls to exact if it does not converge
};

struct BjorckOptions {
  BjorckPath path = BjorckPath::automatic;
  int order = 1;         ///< of the iteration, 1..4
  int iterations = 0;    ///< 0: to the polar factor; else exactly so many steps, converged or not
  double tolerance = 0;  ///< of the defect; 0: 2e-6 for f32, 1e-12 for f64
  /// What w is divided by before the steps: a proved bound of its spectral norm, unless given (1:
  /// nothing). A constant of the map. Without effect on the polar factor, which is scale-invariant.
  std::optional<double> prescale = {};
  /// Whether the defect of a polar factor of full rank is measured for a report, at the cost of a
  /// Gram matrix; else it stays NaN, and `converged` says that the rank is full.
  bool measure = true;
  friend bool operator==(const BjorckOptions&, const BjorckOptions&) = default;
};

/// What was measured; of a batch, the worst matrix in each respect.
struct BjorckReport {
  bool converged = false;  ///< full rank, and the defect, where measured, within the tolerance
  double defect = std::numeric_limits<double>::quiet_NaN();  ///< max |q^T q - I|, on the small side
  double kappa = std::numeric_limits<double>::quiet_NaN();   ///< sigma_max / sigma_min of w
  double sigma_min = std::numeric_limits<double>::quiet_NaN();  ///< of w, an estimate
  double sigma_max = std::numeric_limits<double>::quiet_NaN();  ///< of w, an estimate
  int iterations = 0;  ///< steps taken; 0 on the exact path
  BjorckPath path = BjorckPath::exact;
};

/// The polar factor of w = q p, p = (w^T w)^1/2: the nearest matrix with orthonormal columns (rows,
/// if m < n), which is the limit of the iteration of Bjorck and Bowie,
///
///     w <- w (I + 1/2 e + 3/8 e^2 + 5/16 e^3 + 35/128 e^4 ...),   e = I - w^T w,
///
/// cut after the power `order` [Bjorck 1971; Anil 2019]; or, with `iterations` given, the result of
/// exactly so many steps. Steps of order 1 keep every singular value <= 1 from any start <= 2; they
/// converge from (0, sqrt 3) and diverge beyond sqrt 5.
///
/// The gradient is that of the map that was applied, in closed form from the singular values: no
/// iterate is stored or differentiated, and an orthogonal w (repeated singular values) is as good
/// as any other. The polar factor does not depend on the scale of w: <grad, w> = 0.
///
/// Singular values below 1e-7 sigma_max count as zero. The polar factor of such a w is not unique;
/// the result is the partial isometry, zero on the null space (the zero matrix for w = 0), reported
/// as not converged, and its gradient is finite: that along changes of w which keep the rank.
///
/// @param w       matrix [m, n], or several, [b, m, n]; f32 or f64
/// @param report  if given, set to what was measured
/// @return        of w's shape
/// @throws ShapeError, ValueError  on other shapes and on options out of range
/// @throws NumericError  if an entry of w is not finite
Var bjorck(const Var& w, const BjorckOptions& options = {}, BjorckReport* report = nullptr);

/// The same for matrices of any shapes and one type, in one node of the tape: small ones are
/// distributed over the threads, largest first, large ones use all threads of BLAS in turn. The
/// values are those of one call each.
/// @param reports  if given, set to one report per entry of ws
Vars bjorck(const Vars& ws, const BjorckOptions& options = {},
            std::vector<BjorckReport>* reports = nullptr);

}  // namespace isotape
