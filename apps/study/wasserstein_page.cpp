// The report of the study of Wasserstein distances.

#include <fmt/format.h>
#include <algorithm>
#include <optional>
#include <utility>

#include <isotape/apps/study/wasserstein.hpp>

namespace isotape {
namespace {

struct Mean {
  double estimate = 0;
  double least = 0;
  double largest = 0;
  double standard_error = 0;  // the largest of a draw
  double bound = 0;           // likewise
  int draws = 0;
};

Mean mean_of(const std::vector<StudyResult>& results, std::string_view problem,
             std::string_view critic) {
  Mean mean;
  for (const StudyResult& r : results) {
    if (r.cell.at("problem") != problem || r.cell.at("critic") != critic) continue;
    const auto estimate = r.result.at("estimate").get<double>();
    mean.estimate += estimate;
    mean.least = mean.draws == 0 ? estimate : std::min(mean.least, estimate);
    mean.largest = mean.draws == 0 ? estimate : std::max(mean.largest, estimate);
    mean.standard_error =
        std::max(mean.standard_error, r.result.at("standard_error").get<double>());
    mean.bound = std::max(mean.bound, r.result.at("bound").get<double>());
    ++mean.draws;
  }
  if (mean.draws > 0) mean.estimate /= mean.draws;
  return mean;
}

// The critics of the first draw along the problem's line, beside the best one.
std::optional<StudyPlot> profiles(const std::vector<StudyResult>& results,
                                  const TransportProblem& problem) {
  StudyPlot plot;
  plot.id = "profile-" + std::string(problem.name);
  plot.title = fmt::format("Critics: {}", problem.title);
  plot.subtitle = problem.dimension == 1 ? "on the line"
                  : problem.diagonal     ? "along (1, ..., 1)"
                                         : "along the first axis";
  plot.caption =
      "What a critic says at a point less what it says at 0, over its proved bound: no line may be "
      "steeper than 1.";
  plot.x = "distance from 0";
  plot.y = "critic";
  const std::vector<double> places = profile_places();
  for (const CriticKind& kind : critic_kinds) {
    for (const StudyResult& r : results) {
      if (r.cell.at("problem") != problem.name || r.cell.at("critic") != kind.name ||
          r.cell.at("draw") != 0) {
        continue;
      }
      StudySeries series{std::string(kind.title), {}};
      const auto values = r.result.at("profile").get<std::vector<double>>();
      for (std::size_t i = 0; i < places.size(); ++i) {
        series.points.emplace_back(places[i], values.at(i));
      }
      plot.series.push_back(std::move(series));
    }
  }
  if (plot.series.empty()) return std::nullopt;
  StudySeries best{"best", {}};
  for (const double t : places) best.points.emplace_back(t, problem.best(t));
  plot.series.push_back(std::move(best));
  return plot;
}

StudyTable estimates(const std::vector<StudyResult>& results) {
  StudyTable table;
  table.caption =
      "Mean of f on the far set less that on the near one, over the proved bound of f, on 19,998 "
      "new points of each: mean, least and largest over draws. Where points come in pairs (all but "
      "the Gaussians) no estimate is above the truth; else the mean of many is not.";
  table.head = {"sets",  "critic",  "truth",          "estimate", "of the truth",
                "least", "largest", "standard error", "bound",    "draws"};
  table.words = 2;
  for (const TransportProblem& problem : transport_problems()) {
    for (const CriticKind& kind : critic_kinds) {
      const Mean mean = mean_of(results, problem.name, kind.name);
      if (mean.draws == 0) continue;
      table.rows.push_back({std::string(problem.title), std::string(kind.title),
                            fmt::format("{:.0f}", problem.distance),
                            fmt::format("{:.4f}", mean.estimate),
                            fmt::format("{:.1f} %", 100 * mean.estimate / problem.distance),
                            fmt::format("{:.4f}", mean.least), fmt::format("{:.4f}", mean.largest),
                            fmt::format("{:.4f}", mean.standard_error),
                            fmt::format("{:.6f}", mean.bound), std::to_string(mean.draws)});
    }
  }
  return table;
}

}  // namespace

StudyPage wasserstein_page(const std::vector<StudyResult>& results, const StudySettings& settings) {
  StudyPage page;
  page.title = "Wasserstein distances, estimated from below";
  page.lead =
      "A critic of Lipschitz constant 1 never finds more than the distance of two sets. How much "
      "of it a critic finds shows which functions its layers can be.";
  page.notes.emplace_back(
      "The distances are known: the best critic is |x|, the distance to the nearest of three "
      "points, the norm in 128 dimensions, and a linear function.");
  if (!settings.full) {
    page.notes.emplace_back(
        "Default scale: smaller nets, fewer steps, one draw; --full: the published nets, 5 draws.");
  }
  for (const TransportProblem& problem : transport_problems()) {
    const CriticKind& kind = critic_kinds.front();
    const Mean mean = mean_of(results, problem.name, kind.name);
    if (mean.draws == 0) continue;
    page.figures.emplace_back(fmt::format("{}; {}", problem.title, kind.title),
                              fmt::format("{:.1f} %", 100 * mean.estimate / problem.distance));
  }
  StudySection pictures{"Critics beside the best one", {}, {}, {}};
  for (const TransportProblem& problem : transport_problems()) {
    if (auto plot = profiles(results, problem)) pictures.plots.push_back(std::move(*plot));
  }
  page.sections.push_back(std::move(pictures));
  if (!results.empty()) {
    page.sections.push_back({"Estimates beside the truth", {}, {}, {estimates(results)}});
  }
  return page;
}

}  // namespace isotape
