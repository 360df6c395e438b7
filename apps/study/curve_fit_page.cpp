// The report of the study of the square wave.

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <optional>

#include <isotape/apps/study/curve_fit.hpp>
#include <isotape/apps/study/square_wave.hpp>

namespace isotape {
namespace {

// What the draws of one layer and gamma gave, ascending.
std::vector<double> found(const std::vector<StudyResult>& results, std::string_view layer,
                          int gamma, const char* what) {
  std::vector<double> values;
  for (const StudyResult& r : results) {
    if (r.cell.at("layer") != layer || r.cell.at("gamma") != gamma) continue;
    values.push_back(r.result.at(what).get<double>());
  }
  std::sort(values.begin(), values.end());
  return values;
}

double median(const std::vector<double>& ascending) {
  const std::size_t n = ascending.size();
  return (ascending[(n - 1) / 2] + ascending[n / 2]) / 2;
}

const StudyResult* first_draw(const std::vector<StudyResult>& results, std::string_view layer,
                              int gamma) {
  const auto at = std::find_if(results.begin(), results.end(), [&](const StudyResult& r) {
    return r.cell.at("layer") == layer && r.cell.at("gamma") == gamma && r.cell.at("draw") == 0;
  });
  return at == results.end() ? nullptr : &*at;
}

// Points of a function at the places of the curves, within `reach` of 0.
template <class F>
std::vector<std::pair<double, double>> points(double reach, F&& f) {
  std::vector<std::pair<double, double>> list;
  for (int i = 0; i <= curve_points; ++i) {
    const double x = (i - curve_points / 2) * 4.0 / curve_points;
    if (std::abs(x) <= reach) list.emplace_back(x, f(i, x));
  }
  return list;
}

std::optional<StudyPlot> plot_of(const std::vector<StudyResult>& results, int gamma, double reach) {
  StudyPlot plot;
  plot.id = fmt::format("curves-{}{}", gamma, reach < 2 ? "-near" : "");
  plot.title = fmt::format("Bound {}{}", gamma, reach < 2 ? ", around 0" : "");
  plot.subtitle = "the first draw";
  plot.x = "x";
  plot.y = "f(x)";
  for (const CurveLayer& layer : curve_layers) {
    const StudyResult* r = first_draw(results, layer.name, gamma);
    if (r == nullptr) continue;
    const StudyJson& curve = r->result.at("curve");
    plot.series.push_back({std::string(layer.title), points(reach, [&](int i, double /*x*/) {
                             return curve.at(static_cast<std::size_t>(i)).get<double>();
                           })});
  }
  if (plot.series.empty()) return std::nullopt;
  plot.series.push_back(
      {"best possible", points(reach, [&](int, double x) { return best_fit(x, gamma); })});
  plot.series.push_back({"target", points(reach, [](int, double x) { return square_wave(x); })});
  return plot;
}

// Calls f(layer, index of gamma, gamma) for what there are results of.
template <class F>
void for_measured(const std::vector<StudyResult>& results, F&& f) {
  for (const CurveLayer& layer : curve_layers) {
    for (std::size_t g = 0; g < curve_gammas.size(); ++g) {
      if (!found(results, layer.name, curve_gammas.at(g), "mse").empty()) {
        f(layer, g, curve_gammas.at(g));
      }
    }
  }
}

StudyTable tightness(const std::vector<StudyResult>& results) {
  StudyTable table;
  table.caption =
      "Largest slope of neighbours on a grid of 24,000 cells of [-3, 3], in percent of the proved "
      "bound. The paper's figures are those of its table 1; PyTorch: one run of its protocol.";
  table.head = {"layer", "bound", "median", "least", "largest", "paper", "PyTorch", "draws"};
  for_measured(results, [&](const CurveLayer& layer, std::size_t g, int gamma) {
    const auto values = found(results, layer.name, gamma, "tightness");
    table.rows.push_back(
        {std::string(layer.title), std::to_string(gamma), fmt::format("{:.1f}", median(values)),
         fmt::format("{:.1f}", values.front()), fmt::format("{:.1f}", values.back()),
         fmt::format("{:.1f}", layer.published.at(g)),
         fmt::format("{:.1f}", layer.other_tightness.at(g)), std::to_string(values.size())});
  });
  return table;
}

StudyTable errors(const std::vector<StudyResult>& results) {
  StudyTable table;
  table.caption =
      "Mean square error, medians: over all of [-2, 2], with the least one that the bound allows, "
      "and at 200 points from -2 to 2, as in PyTorch.";
  table.head = {"layer", "bound",      "error",   "least",
                "ratio", "200 points", "PyTorch", "300 trained"};
  for_measured(results, [&](const CurveLayer& layer, std::size_t g, int gamma) {
    const double error = median(found(results, layer.name, gamma, "mse"));
    table.rows.push_back(
        {std::string(layer.title), std::to_string(gamma), fmt::format("{:.5f}", error),
         fmt::format("{:.5f}", least_error(gamma)),
         fmt::format("{:.3f}", error / least_error(gamma)),
         fmt::format("{:.5f}", median(found(results, layer.name, gamma, "test_mse"))),
         fmt::format("{:.4f}", layer.other_error.at(g)),
         fmt::format("{:.5f}", median(found(results, layer.name, gamma, "train_mse")))});
  });
  return table;
}

std::vector<std::pair<std::string, std::string>> headline(const std::vector<StudyResult>& results) {
  std::vector<std::pair<std::string, std::string>> figures;
  for (const int gamma : curve_gammas) {
    const auto values = found(results, "sandwich", gamma, "tightness");
    if (values.empty()) continue;
    figures.emplace_back(fmt::format("Sandwich, bound {}: tightness", gamma),
                         fmt::format("{:.1f} %", median(values)));
  }
  for (const int gamma : curve_gammas) {
    const auto values = found(results, "sandwich", gamma, "mse");
    if (values.empty()) continue;
    figures.emplace_back(fmt::format("Sandwich, bound {}: error over the least", gamma),
                         fmt::format("{:.3f}", median(values) / least_error(gamma)));
  }
  return figures;
}

}  // namespace

StudyPage curve_fit_page(const std::vector<StudyResult>& results, const StudySettings& settings) {
  StudyPage page;
  page.title = "A square wave under a Lipschitz bound";
  page.lead =
      "Nets of equal size and equal proved bound learn three jumps: the steeper their best ramp, "
      "the less of the bound is lost to how their layers are made.";
  page.notes.emplace_back(
      "A slope that was found is at most the Lipschitz constant, which is at most the bound. No "
      "function within the bound has a smaller error than 1 / (16 bound) on [-2, 2].");
  if (!settings.full) {
    page.notes.emplace_back("Default scale: 5 draws of points and weights; --full: 20.");
  }
  page.figures = headline(results);
  StudySection curves{"Fitted curves", {}, {}, {}};
  for (const int gamma : curve_gammas) {
    if (auto plot = plot_of(results, gamma, 2)) curves.plots.push_back(std::move(*plot));
  }
  if (auto plot = plot_of(results, 10, 0.3)) curves.plots.push_back(std::move(*plot));
  page.sections.push_back(std::move(curves));
  if (!results.empty()) {
    page.sections.push_back({"How much of the bound is used", {}, {}, {tightness(results)}});
    page.sections.push_back({"Error", {}, {}, {errors(results)}});
  }
  return page;
}

}  // namespace isotape
