#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <isotape/core/random.hpp>

namespace isotape {

/// Two distributions whose Wasserstein-1 distance is known, by a plan of transport and a function
/// of Lipschitz constant 1 that prove it from above and from below [Anil 2019, section 5.1].
struct TransportProblem {
  std::string_view name;
  std::string_view title;
  std::int64_t dimension;
  double distance;  ///< W_1, the truth
  /// Whether n points of either set, in the order given, are `distance` apart one by one, so that
  /// the difference of two sample means is at most the distance, not only on average.
  bool paired;
  /// n points, [n, dimension], f64.
  Tensor (*near)(Rng& rng, std::int64_t n);
  Tensor (*far)(Rng& rng, std::int64_t n);
  bool diagonal;  ///< the line of points t u: u = (1, ..., 1) / sqrt(d), else (1, 0, ...)
  double (*best)(double t);  ///< the best critic at t u, 0 at 0
};

/// The points t u of the problem's line, [n, dimension], f64.
Tensor on_line(const TransportProblem& problem, const std::vector<double>& t);

/// All of them:
///
///     two-radii    0 and {-1, 1} on the line                    f(x) = |x|
///     three-cones  (-2, 0), (0, 0), (2, 0), and circles of      f(x) = distance to the nearest
///                  radius 1 round them                                 centre
///     shell        0 and the unit sphere in 128 dimensions      f(x) = ||x||
///     gaussians    N(0, I) and N(m, I) in 16 dimensions,        f(x) = <x, m> / ||m||
///                  ||m|| = 2
const std::vector<TransportProblem>& transport_problems();

/// @throws ValueError  listing the names
const TransportProblem& transport_problem(std::string_view name);

}  // namespace isotape
