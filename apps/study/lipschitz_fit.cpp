#include <isotape/apps/study/lipschitz_fit.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

constexpr double low = -0.2;
constexpr double step = 1e-4;
constexpr std::int64_t levels = 14001;

double level(std::int64_t i) { return low + step * static_cast<double>(i); }

// For every level the one of least cost at most `reach` away, by a window that slides over them:
// the deque holds the candidates, of ascending cost.
std::vector<std::int32_t> cheapest_within(const std::vector<double>& cost, std::int64_t reach) {
  std::vector<std::int32_t> best(cost.size());
  std::deque<std::int64_t> window;
  std::int64_t next = 0;
  for (std::int64_t i = 0; i < levels; ++i) {
    for (; next <= std::min(i + reach, levels - 1); ++next) {
      while (!window.empty() && cost[static_cast<std::size_t>(window.back())] >=
                                    cost[static_cast<std::size_t>(next)]) {
        window.pop_back();
      }
      window.push_back(next);
    }
    while (window.front() < i - reach) window.pop_front();
    best[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(window.front());
  }
  return best;
}

}  // namespace

std::vector<std::pair<double, double>> lipschitz_fit(
    const std::vector<std::pair<double, double>>& points, double gamma) {
  for (std::size_t p = 1; p < points.size(); ++p) {
    require<ValueError>(points[p - 1].first < points[p].first,
                        "lipschitz_fit: expected ascending points, got ", points[p].first,
                        " behind ", points[p - 1].first);
  }
  // cost[i]: least sum over the points up to p of fits that end at level i; from[p][i]: where such
  // a fit is at the point before.
  std::vector<double> cost(levels);
  std::vector<std::vector<std::int32_t>> from(points.size());
  for (std::size_t p = 0; p < points.size(); ++p) {
    if (p > 0) {
      const double room = gamma * (points[p].first - points[p - 1].first) / step;
      from[p] = cheapest_within(
          cost, static_cast<std::int64_t>(std::min(room, static_cast<double>(levels))));
      std::vector<double> before = cost;
      for (std::size_t i = 0; i < cost.size(); ++i) {
        cost[i] = before[static_cast<std::size_t>(from[p][i])];
      }
    }
    for (std::int64_t i = 0; i < levels; ++i) {
      cost[static_cast<std::size_t>(i)] += std::pow(level(i) - points[p].second, 2);
    }
  }
  std::vector<std::pair<double, double>> fit(points);
  std::int64_t at = std::min_element(cost.begin(), cost.end()) - cost.begin();
  for (std::size_t p = points.size(); p-- > 0;) {
    fit[p].second = level(at);
    if (p > 0) at = from[p][static_cast<std::size_t>(at)];
  }
  return fit;
}

double polygon_at(const std::vector<std::pair<double, double>>& points, double x) {
  const auto right =
      std::lower_bound(points.begin(), points.end(), x,
                       [](const auto& point, double at) { return point.first < at; });
  if (right == points.begin()) return right->second;
  if (right == points.end()) return points.back().second;
  const auto& [x0, y0] = *(right - 1);
  return y0 + (right->second - y0) * (x - x0) / (right->first - x0);
}

}  // namespace isotape
