// The tables of the study of low-rank representations.

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include <isotape/apps/study/attack_curves.hpp>
#include <isotape/apps/study/low_rank.hpp>
#include <isotape/apps/study/low_rank_means.hpp>

namespace isotape {
namespace {

std::string number(double value, const char* format = "{:.1f}") {
  return std::isnan(value) ? "-" : fmt::format(fmt::runtime(format), value);
}

// Calls row(means, title) for the nets of a problem that have results.
template <class Row>
void for_each_net(const LowRankProblem& problem, const std::vector<StudyResult>& results,
                  const Row& row) {
  for (const LowRankVariant& variant : low_rank_variants()) {
    const LowRankMeans means(results, problem.name, variant.name);
    if (!means.is_empty()) row(means, std::string(variant.title));
  }
}

// Of the attacks on a stranger, the one that leaves the least.
double best_transfer(const LowRankMeans& means, double eps) {
  double least = 100;
  for (const std::string& attack : attack_names()) {
    least = std::min(least, means.at("/transfer/" + attack, eps));
  }
  return least;
}

}  // namespace

StudyTable low_rank_summary(const LowRankProblem& problem,
                            const std::vector<StudyResult>& results) {
  StudyTable table;
  table.caption = fmt::format(
      "Variance ratios, in singular values of the activations before the last layer: the share of "
      "the first k in the sum of squares. FGSM and PGD: percent right at {:.3g} in linf. DeepFool: "
      "median |delta| / |x|. Cushion: mean |W a| / (|W|_F |a|) of the last layer.",
      problem.checked_eps);
  table.head = {"net",      "accuracy, %", "VR(5)", "VR(10)",   "VR(20)",
                "mean |a|", "FGSM",        "PGD",   "DeepFool", "cushion"};
  for_each_net(problem, results, [&](const LowRankMeans& means, const std::string& title) {
    table.rows.push_back(
        {title, number(means.number("/accuracy")), number(means.at("/variance", 5), "{:.4f}"),
         number(means.at("/variance", 10), "{:.4f}"), number(means.at("/variance", 20), "{:.4f}"),
         number(means.number("/norm"), "{:.2f}"),
         number(means.at("/white/fgsm", problem.checked_eps)),
         number(means.at("/white/pgd", problem.checked_eps)),
         number(means.number("/white/deepfool/rho/median"), "{:.3f}"),
         number(means.number("/cushion"), "{:.3f}")});
  });
  return table;
}

StudyTable low_rank_masking(const LowRankProblem& problem,
                            const std::vector<StudyResult>& results) {
  const double eps = problem.checked_eps;
  StudyTable table;
  table.caption = fmt::format(
      "Percent right at {:.3g} in linf. A net hides its gradients if examples made on a stranger, "
      "another vanilla net, leave less than its own; if more steps on the margin find much more "
      "than "
      "PGD on the cross entropy; or if PGD leaves much at {:.3g}. Saturated: images whose cross "
      "entropy would have lost its gradient in f32; the attacks here compute it in f64.",
      eps, problem.eps.back());
  table.head = {"net",          "random signs",
                "FGSM",         "BIM",
                "PGD",          "100 steps, margin",
                "transferred",  fmt::format("PGD at {:.3g}", problem.eps.back()),
                "saturated, %", "masked?"};
  for_each_net(problem, results, [&](const LowRankMeans& means, const std::string& title) {
    const double strongest = means.number("/hard/strong");
    const double transferred = best_transfer(means, eps);
    table.rows.push_back(
        {title, number(means.number("/hard/signs")), number(means.at("/white/fgsm", eps)),
         number(means.at("/white/bim", eps)), number(means.at("/white/pgd", eps)),
         number(strongest), number(transferred), number(means.at("/white/pgd", problem.eps.back())),
         number(means.number("/saturated")), transferred < strongest ? "yes" : "no"});
  });
  return table;
}

StudyTable low_rank_compression(const LowRankProblem& problem,
                                const std::vector<StudyResult>& results) {
  StudyTable table;
  table.caption = fmt::format(
      "Numbers: the representation behind {} cut to k of its principal components, read by the net "
      "or by a wide-margin linear classifier on the k coordinates. Layers: a linear classifier "
      "behind "
      "{} in place of all layers that follow it. Percent right.",
      problem.last, problem.early);
  table.head = {"net",         "whole net",       "cut, k = 5",
                "cut, k = 10", "linear, k = 5",   "linear, k = 10",
                "margin",      "layers replaced", "their parameters",
                "new ones"};
  for_each_net(problem, results, [&](const LowRankMeans& means, const std::string& title) {
    table.rows.push_back({title, number(means.number("/accuracy")),
                          number(means.at("/truncation", 5)), number(means.at("/truncation", 10)),
                          number(means.at("/embedding", 5)), number(means.at("/embedding", 10)),
                          number(means.at("/embedding", 10, 2), "{:.3f}"),
                          number(means.number("/head/accuracy")),
                          number(means.number("/head/parameters_replaced"), "{:.0f}"),
                          number(means.number("/head/parameters"), "{:.0f}")});
  });
  return table;
}

StudyTable low_rank_attacks(const LowRankProblem& problem,
                            const std::vector<StudyResult>& results) {
  StudyTable table;
  table.summary = "All attacks, by eps";
  table.caption = "Percent right: under attacks on the net itself, and on the stranger.";
  table.head = {"net", "attack"};
  table.words = 2;
  for (const double eps : problem.eps) table.head.push_back(fmt::format("{:.3g}", eps));
  for_each_net(problem, results, [&](const LowRankMeans& means, const std::string& title) {
    for (const char* where : {"white", "transfer"}) {
      for (const std::string& attack : attack_names()) {
        std::vector<std::string> row = {title, attack + (where[0] == 'w' ? "" : ", transferred")};
        for (const double eps : problem.eps) {
          row.push_back(number(means.at(fmt::format("/{}/{}", where, attack), eps)));
        }
        table.rows.push_back(std::move(row));
      }
    }
  });
  return table;
}

StudyTable low_rank_paper(const std::vector<StudyResult>& results) {
  StudyTable table;
  table.caption =
      "The paper's figures are of ResNets on CIFAR-10, read off its tables and plots [Sanyal "
      "2020]; "
      "ours, of smaller nets on other data, are to show the same directions. Vanilla, then low "
      "rank with r = 10.";
  table.head = {"measure", "paper", "points", "images"};
  table.words = 4;
  const auto pair = [&](const char* problem, const auto& figure) -> std::string {
    const LowRankMeans vanilla(results, problem, "vanilla");
    const LowRankMeans low(results, problem, "rank-10");
    if (vanilla.is_empty() || low.is_empty()) return "-";
    return figure(vanilla) + ", " + figure(low);
  };
  const auto row = [&](const char* what, const char* paper, const auto& figure) {
    table.rows.push_back({what, paper, pair("points", figure), pair("images", figure)});
  };
  row("variance ratio, k = 10", "0.95, 1.00",
      [](const LowRankMeans& m) { return number(m.at("/variance", 10), "{:.3f}"); });
  row("PGD, percent right (8/255; 0.2; 0.1)", "43.1, 79.1", [&](const LowRankMeans& m) {
    return number(std::isnan(m.at("/white/pgd", 0.2)) ? m.at("/white/pgd", 0.1)
                                                      : m.at("/white/pgd", 0.2));
  });
  row("DeepFool, median |delta| / |x|", "ten times more", [](const LowRankMeans& m) {
    return number(m.number("/white/deepfool/rho/median"), "{:.3f}");
  });
  row("noise on 40 % of the entries", "69.7, 75.1",
      [](const LowRankMeans& m) { return number(m.at("/noise", 0.4)); });
  row("noise on all entries", "11.3, 13.0",
      [](const LowRankMeans& m) { return number(m.at("/noise", 1)); });
  return table;
}

}  // namespace isotape
