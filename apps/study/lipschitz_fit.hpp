#pragma once

#include <utility>
#include <vector>

namespace isotape {

/// Of all functions with Lipschitz constant gamma one of the least sum of squared errors at points,
/// up to its values being multiples of 1e-4 in [-0.2, 1.2]: no training reaches less there.
///
///     minimise sum_i (f_i - y_i)^2   subject to |f_(i+1) - f_i| <= gamma (x_(i+1) - x_i)
///
/// by dynamic programming over the values from left to right. Between the points it is linear.
///
/// @param points  (x, y) of ascending, different x, y in [0, 1]; at least one
/// @return        (x, f) of the same x
/// @throws ValueError  if the points do not ascend
std::vector<std::pair<double, double>> lipschitz_fit(
    const std::vector<std::pair<double, double>>& points, double gamma);

/// The polygon through points of ascending x; beyond them its last values.
double polygon_at(const std::vector<std::pair<double, double>>& points, double x);

}  // namespace isotape
