// The report of the study of the law of robustness.

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <isotape/apps/study/fit_line.hpp>
#include <isotape/apps/study/robustness_law.hpp>

namespace isotape {
namespace {

constexpr double fitted = 1.5e-3;  // the fits of a penalised net end about here, others below 1e-3

// Means over the draws that were fitted, by n and by x, which is sqrt(n/k) or sqrt(n d / p).
struct Mean {
  double sum = 0;
  double count = 0;
};
using Curves = std::map<std::int64_t, std::map<double, Mean>>;

double abscissa(const Experiment& e, const StudyResult& r) {
  const auto n = r.cell.at("n").get<double>();
  const double rival = e.depth == 1
                           ? r.cell.at("width").get<double>()
                           : r.result.at("parameters").get<double>() / static_cast<double>(e.d);
  return std::sqrt(n / rival);
}

Curves curves(const Experiment& e, const std::vector<StudyResult>& results, const char* what) {
  Curves by_n;
  for (const StudyResult& r : results) {
    if (r.cell.at("net") != e.name || !(r.result.at("train_mse") < fitted)) continue;
    Mean& mean = by_n[r.cell.at("n").get<std::int64_t>()][abscissa(e, r)];
    mean.sum += r.result.at(what).get<double>();
    ++mean.count;
  }
  return by_n;
}

std::vector<std::pair<double, double>> points_of(const std::map<double, Mean>& curve) {
  std::vector<std::pair<double, double>> points;
  points.reserve(curve.size());
  for (const auto& [x, mean] : curve) points.emplace_back(x, mean.sum / mean.count);
  return points;
}

StudyPlot plot_of(const Experiment& e, const Curves& by_n) {
  StudyPlot plot;
  plot.id = std::string(e.name);
  plot.title = std::string(e.title);
  plot.subtitle = "largest gradient at fresh points, mean over draws";
  plot.x = e.depth == 1 ? "sqrt(n / k)" : "sqrt(n d / p)";
  plot.y = "largest |gradient|";
  for (const auto& [n, curve] : by_n) {
    plot.series.push_back({fmt::format("n = {}", n), points_of(curve)});
  }
  return plot;
}

// Where the net is not wider than it needs: sqrt(n/k) >= 1; of deeper nets everywhere.
std::vector<std::pair<double, double>> fitted_part(const Experiment& e,
                                                   std::vector<std::pair<double, double>> points) {
  if (e.depth == 1) std::erase_if(points, [](const auto& p) { return p.first < 1 - 1e-9; });
  return points;
}

double value_at(const std::vector<std::pair<double, double>>& points, double x) {
  for (const auto& [px, py] : points) {
    if (std::abs(px - x) < 0.05 * x) return py;
  }
  return std::nan("");
}

std::string number(double value, const char* format = "{:.2f}") {
  return std::isnan(value) ? "-" : fmt::format(fmt::runtime(format), value);
}

StudyTable fits(const std::vector<StudyResult>& results) {
  StudyTable table;
  table.caption =
      "Lines through the means, where n >= k. The law says that gradient / sqrt(n/k) is bounded "
      "from "
      "below; its least value stands in the last column.";
  table.head = {"net", "n", "r", "slope", "intercept", "at n/k = 8 over 1", "least ratio"};
  for (const Experiment& e : experiments()) {
    for (const auto& [n, curve] : curves(e, results, "max_gradient")) {
      const auto points = fitted_part(e, points_of(curve));
      if (points.size() < 3) continue;
      const FittedLine line = fit_line(points);
      double least = points.front().second / points.front().first;
      for (const auto& [x, y] : points) least = std::min(least, y / x);
      const double rise =
          e.depth > 1 ? std::nan("") : value_at(points, std::sqrt(8.0)) / value_at(points, 1);
      table.rows.push_back({std::string(e.name), std::to_string(n), number(line.r, "{:.3f}"),
                            number(line.slope), number(line.intercept), number(rise),
                            number(least)});
    }
  }
  return table;
}

StudyTable proxies(const std::vector<StudyResult>& results) {
  StudyTable table;
  table.caption =
      "Bounds and relatives of the largest gradient, nets of two layers, largest n; means over "
      "draws "
      "at n/k = 8 and 1. The product of norms does not follow sqrt(n/k).";
  table.head = {"net", "measure", "n/k = 8", "n/k = 1", "8 over 1"};
  table.words = 2;
  constexpr std::pair<const char*, const char*> measures[] = {
      {"max_gradient", "largest gradient, fresh points"},
      {"max_gradient_tangential", "the same along the sphere"},
      {"max_gradient_train", "largest gradient, training points"},
      {"path_norm", "path norm"},
      {"norm_product", "product of the layers' norms"}};
  for (const Experiment& e : experiments()) {
    if (e.depth > 1) continue;
    for (const auto& [key, words] : measures) {
      const Curves by_n = curves(e, results, key);
      if (by_n.empty()) continue;
      const auto points = points_of(by_n.rbegin()->second);
      const double eight = value_at(points, std::sqrt(8.0));
      const double one = value_at(points, 1);
      table.rows.push_back(
          {std::string(e.name), words, number(eight), number(one), number(eight / one)});
    }
  }
  return table;
}

// Fits that did not get below the noise stand in no mean.
StudyTable missed(const std::vector<StudyResult>& results) {
  StudyTable table;
  table.caption = "Draws that were not fitted in 6000 steps, and are left out above.";
  table.head = {"net", "draws", "not fitted"};
  for (const Experiment& e : experiments()) {
    std::int64_t all = 0;
    std::int64_t bad = 0;
    for (const StudyResult& r : results) {
      if (r.cell.at("net") != e.name) continue;
      ++all;
      if (!(r.result.at("train_mse") < fitted)) ++bad;
    }
    if (all > 0)
      table.rows.push_back({std::string(e.name), std::to_string(all), std::to_string(bad)});
  }
  return table;
}

}  // namespace

StudyPage robustness_law_page(const std::vector<StudyResult>& results,
                              const StudySettings& settings) {
  StudyPage page;
  page.title = "The law of robustness";
  page.lead =
      "Nets that fit random labels below the noise: the fewer neurons they have for each point, "
      "the "
      "larger is their largest gradient.";
  page.notes.emplace_back(
      "The largest gradient at 20,000 fresh points is at most the Lipschitz constant. Training "
      "does "
      "not look for the least constant: read it as a line above 0, where the law is one through "
      "0.");
  if (!settings.full) {
    page.notes.emplace_back(
        "Default scale: 8 draws per point, 4 with the penalty; --full: 16, and "
        "twice the largest n.");
  }
  const StudyTable table = fits(results);
  double least_r = 1;
  double least_ratio = std::numeric_limits<double>::infinity();
  for (const auto& row : table.rows) {
    if (row[0] != "relu") continue;
    least_r = std::min(least_r, std::stod(row[2]));
    least_ratio = std::min(least_ratio, std::stod(row[6]));
  }
  if (std::isfinite(least_ratio)) {
    page.figures = {{"Two layers: least correlation with sqrt(n/k)", number(least_r, "{:.3f}")},
                    {"Least gradient / sqrt(n/k)", number(least_ratio)}};
  }
  StudySection law{"Largest gradient against sqrt(n/k)", {}, {}, {table}};
  StudySection deep{"Deeper nets, against sqrt(n d / p)", {}, {}, {}};
  for (const Experiment& e : experiments()) {
    StudyPlot plot = plot_of(e, curves(e, results, "max_gradient"));
    if (plot.series.empty()) continue;
    (e.depth == 1 ? law : deep).plots.push_back(std::move(plot));
  }
  page.sections = {law, deep, {"Other measures", {}, {}, {proxies(results), missed(results)}}};
  return page;
}

}  // namespace isotape
