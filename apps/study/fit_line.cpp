#include <isotape/apps/study/fit_line.hpp>

#include <cmath>

#include <isotape/core/error.hpp>

namespace isotape {

FittedLine fit_line(const std::vector<std::pair<double, double>>& points) {
  const auto n = static_cast<double>(points.size());
  double x = 0;
  double y = 0;
  for (const auto& [px, py] : points) {
    x += px / n;
    y += py / n;
  }
  double xx = 0;
  double xy = 0;
  double yy = 0;
  for (const auto& [px, py] : points) {
    xx += (px - x) * (px - x);
    xy += (px - x) * (py - y);
    yy += (py - y) * (py - y);
  }
  require<ValueError>(points.size() >= 2 && xx > 0,
                      "fit_line: expected two points or more of "
                      "different x, got ",
                      points.size(), " with a variance of ", xx);
  return {xy / xx, y - xy / xx * x, yy > 0 ? xy / std::sqrt(xx * yy) : 0};
}

}  // namespace isotape
