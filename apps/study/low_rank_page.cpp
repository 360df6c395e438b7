// The report of the study of low-rank representations.

#include <fmt/format.h>
#include <cmath>

#include <isotape/apps/study/attack_curves.hpp>
#include <isotape/apps/study/low_rank.hpp>
#include <isotape/apps/study/low_rank_means.hpp>

namespace isotape {
namespace {

using Results = std::vector<StudyResult>;

struct Curve {
  std::string id;
  std::string title;
  std::string path;
  std::string x;
  std::string y;
  std::string caption = {};
  std::size_t column = 1;
};

StudyPlot plot_of(const LowRankProblem& problem, const Results& results, const Curve& curve) {
  StudyPlot plot;
  plot.id = fmt::format("{}-{}", problem.name, curve.id);
  plot.title = curve.title;
  plot.subtitle = std::string(problem.title);
  plot.caption = curve.caption;
  plot.x = curve.x;
  plot.y = curve.y;
  for (const LowRankVariant& variant : low_rank_variants()) {
    const LowRankMeans means(results, problem.name, variant.name);
    if (means.is_empty()) continue;
    plot.series.push_back({std::string(variant.title), means.curve(curve.path, curve.column)});
  }
  return plot;
}

bool has_results(const LowRankProblem& problem, const Results& results) {
  for (const StudyResult& r : results) {
    if (r.cell.at("problem") == problem.name) return true;
  }
  return false;
}

StudySection rank_section(const LowRankProblem& problem, const Results& results) {
  const auto plot = [&](const Curve& curve) { return plot_of(problem, results, curve); };
  return {fmt::format("Rank and embeddings: {}", problem.title),
          {fmt::format("Of the activations behind {}. The problem asks for a loss of weight {:.3g} "
                       "on their norms.",
                       problem.last, problem.norm_weight)},
          {plot({"variance", "Variance ratio", "/variance", "k directions", "share"}),
           plot({"truncation", "Accuracy of the net, activations cut to k components",
                 "/truncation", "k", "percent right"}),
           plot({"embedding", "Wide-margin linear classifier on k components", "/embedding", "k",
                 "percent right"}),
           plot({"margin", "Its margin", "/embedding", "k", "median distance / rms",
                 "Median distance of test points to the nearest border, over the root mean square "
                 "of the points.",
                 2})},
          {low_rank_summary(problem, results), low_rank_compression(problem, results)}};
}

StudySection attack_section(const LowRankProblem& problem, const Results& results,
                            const std::string& where) {
  const bool is_white = where == "white";
  StudySection section{
      fmt::format("{}: {}", is_white ? "Attacks, white box" : "Attacks, transferred",
                  problem.title),
      {is_white ? "Each net is attacked with its own gradients."
                : "All nets see the same examples, made on a stranger: a vanilla net from another "
                  "start."},
      {},
      {}};
  const std::pair<const char*, const char*> names[] = {
      {"fgsm", "FGSM"},
      {"bim", "BIM, 10 steps"},
      {"ill", "10 steps towards the least likely class"},
      {"pgd", "PGD, 20 steps"}};
  for (const auto& [name, title] : names) {
    section.plots.push_back(
        plot_of(problem, results,
                {fmt::format("{}-{}", where, name), title, fmt::format("/{}/{}", where, name),
                 "eps, linf", "percent right"}));
  }
  section.plots.push_back(
      plot_of(problem, results,
              {where + "-deepfool", "Along DeepFool's ways",
               fmt::format("/{}/deepfool/accuracy", where), "|delta| / |x|, l2", "percent right",
               "The direction found for each image, at any length."}));
  section.plots.push_back(
      plot_of(problem, results,
              {where + "-stability", "How far the representation moves",
               fmt::format("/{}/deepfool/stability", where), "|delta|^2 / |x|^2", "|df|^2 / |f|^2",
               "Along the same ways, mean over images."}));
  if (is_white) {
    section.tables = {low_rank_masking(problem, results), low_rank_attacks(problem, results)};
  }
  return section;
}

StudySection noise_section(const LowRankProblem& problem, const Results& results) {
  return {fmt::format("Noise: {}", problem.title),
          {},
          {plot_of(problem, results,
                   {"noise", "Noise on a share of the entries", "/noise", "share", "percent right",
                    fmt::format("Normal, with a standard deviation of {:.3g}.", problem.noise)}),
           plot_of(problem, results,
                   {"random-stability", "How far the representation moves", "/random/stability",
                    "|delta|^2 / |x|^2", "|df|^2 / |f|^2", "In a random direction."})},
          {}};
}

std::vector<std::pair<std::string, std::string>> headline(const Results& results) {
  const LowRankProblem& problem = low_rank_problem("points");
  const LowRankMeans vanilla(results, problem.name, "vanilla");
  const LowRankMeans low(results, problem.name, "rank-10");
  const LowRankMeans norm(results, problem.name, "norm");
  if (vanilla.is_empty() || low.is_empty()) return {};
  const auto both = [&](const char* format, const auto& figure) {
    return fmt::format(fmt::runtime(format), figure(low), figure(vanilla));
  };
  std::vector<std::pair<std::string, std::string>> figures = {
      {"Points: VR(10), r = 10; vanilla",
       both("{:.4f}; {:.4f}", [](const auto& m) { return m.at("/variance", 10); })},
      {"Points: accuracy, r = 10; vanilla",
       both("{:.1f} %; {:.1f} %", [](const auto& m) { return m.number("/accuracy"); })},
      {"Points: FGSM at 0.2, r = 10; vanilla",
       both("{:.1f} %; {:.1f} %", [](const auto& m) { return m.at("/white/fgsm", 0.2); })}};
  if (!norm.is_empty()) {
    figures.emplace_back("The same with the norm loss alone",
                         fmt::format("{:.1f} %", norm.at("/white/fgsm", 0.2)));
  }
  return figures;
}

}  // namespace

StudyPage low_rank_page(const Results& results, const StudySettings& settings) {
  StudyPage page;
  page.title = "Low-rank representations";
  page.lead =
      "Nets whose activations are asked to lie near a subspace of few dimensions, beside vanilla "
      "ones: what that does to rank, margins, size and robustness.";
  page.notes.emplace_back(
      "No accuracy under attack is proved here: a stronger attack may find more. Read the table of "
      "masked gradients beside the curves, and the net with the norm loss alone, whose rank is not "
      "lowered: what it has too does not come from the rank.");
  if (!settings.full) {
    page.notes.emplace_back(
        "Default scale: dense nets of 256 neurons on points (3 draws) and on 20,000 images, 1,000 "
        "of the test set attacked. --full: 10 draws of points.");
  }
  page.figures = headline(results);
  for (const LowRankProblem& problem : low_rank_problems()) {
    if (!has_results(problem, results)) continue;
    page.sections.push_back(rank_section(problem, results));
    page.sections.push_back(attack_section(problem, results, "white"));
    page.sections.push_back(attack_section(problem, results, "transfer"));
    page.sections.push_back(noise_section(problem, results));
  }
  if (!page.figures.empty()) {
    page.sections.push_back({"Beside the paper", {}, {}, {low_rank_paper(results)}});
  }
  return page;
}

}  // namespace isotape
