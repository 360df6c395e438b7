#pragma once

#include <utility>
#include <vector>

namespace isotape {

/// The line y = intercept + slope x of least squares through points, and Pearson's correlation.
struct FittedLine {
  double slope = 0;
  double intercept = 0;
  double r = 0;
};

/// @throws ValueError  for fewer than two points, or if all x are equal
FittedLine fit_line(const std::vector<std::pair<double, double>>& points);

}  // namespace isotape
