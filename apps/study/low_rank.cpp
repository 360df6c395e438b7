// Low-rank representations.
//
// The activations of a layer lie near a subspace of few dimensions when a virtual layer asks for it
// in training [Sanyal 2020]: the loss grows by their distance to an affine subspace of r dimensions
// and by that of their norms from 1. What is measured: how much of the variance lies in k
// directions, what the net loses when its activations are moved there, how far apart classes lie in
// a few components, whether a linear classifier may take the place of the layers behind, and what
// attacks and noise do. Attacks see the net itself (white box) or a stranger, another vanilla net
// (transfer): a net on which the stranger's examples work better than its own masks its gradients.

#include <algorithm>

#include <isotape/apps/study/attack_curves.hpp>
#include <isotape/apps/study/cut_net.hpp>
#include <isotape/apps/study/low_rank.hpp>
#include <isotape/apps/study/representation.hpp>
#include <isotape/apps/study/studies.hpp>

namespace isotape {
namespace {

constexpr std::int64_t attacked = 1000;
constexpr std::int64_t pictured = 300;

std::vector<StudyJson> grid(const StudySettings& settings) {
  const bool full = settings.full;
  std::vector<StudyJson> cells;
  for (const LowRankProblem& problem : low_rank_problems()) {
    const bool is_points = problem.name == "points";
    const std::int64_t draws = is_points ? (full ? 10 : 3) : 1;
    for (std::int64_t draw = 0; draw < draws; ++draw) {
      for (const LowRankVariant& variant : low_rank_variants()) {
        if (variant.is_for_points && !is_points) continue;
        cells.push_back({{"problem", problem.name}, {"net", variant.name}, {"draw", draw}});
      }
    }
  }
  return cells;
}

StudyJson quantiles(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
  };
  return {{"median", at(0.5)}, {"99 %", at(0.99)}};
}

// White box and transfer; on both, the ways of DeepFool, and random ones.
void measure_attacks(const LowRankProblem& problem, const Model& net, const Model& stranger,
                     const AttackedImages& images, const std::function<void()>& check_interrupt,
                     StudyJson& result) {
  const auto curves = [&](const Model& source) {
    StudyJson json = attack_curves(source, net, images, problem.eps, check_interrupt);
    const DeepFoolWays ways = deepfool_ways(source, images);
    json["deepfool"] = along(ways.direction, net, problem.last, images, check_interrupt);
    json["deepfool"]["rho"] = quantiles(ways.rho);
    return json;
  };
  result["white"] = curves(net);
  result["transfer"] = curves(stranger);
  result["random"] = along(random_ways(images), net, problem.last, images, check_interrupt);
  result["hard"] = attack_hard(net, images, problem.checked_eps, check_interrupt);
  result["noise"] = noise_curve(net, images, problem.noise);
  result["saturated"] = percent_saturated(net, images);
}

StudyJson measure(const StudyJson& cell, const StudyContext& context) {
  const LowRankProblem& problem = low_rank_problem(cell.at("problem").get<std::string>());
  const auto variant = cell.at("net").get<std::string>();
  const auto draw = cell.at("draw").get<std::int64_t>();
  const Dataset data = data_of(problem, context, draw);
  const Model net = net_of({problem, variant, draw}, data, context);
  const Model stranger = net_of({problem, "stranger", draw}, data, context);
  const Representation last = representation(net, problem.last, data);
  StudyJson result = {
      {"accuracy", percent_right(CutNet(net, problem.last).logits(last.test), last.test_labels)}};
  result.update(measure_representation(net, problem.last, last, context.check_interrupt));
  const Representation early = representation(net, problem.early, data);
  result["head"] = measure_head(net, problem.early, early, context.check_interrupt);
  const Rng rng = Rng(static_cast<std::uint64_t>(context.settings.seed + draw)).stream("attacks");
  measure_attacks(problem, net, stranger, attacked_images(data.test, attacked, rng),
                  context.check_interrupt, result);
  if (draw == 0) result["picture"] = picture(last, pictured);
  return result;
}

}  // namespace

const Study low_rank_study = {
    "low-rank",
    "representations of low rank: variance, embeddings, compression, attacks",
    "Dense nets on points and on images are trained without and with low-rank representations,\n"
    "behind one layer or two, and with the norm loss alone; then come rank, margins, compression,\n"
    "attacks by their own and by a stranger's gradients, and noise. Four minutes on one core.\n"
    "--full draws the points ten times instead of three.",
    "glyphs",
    grid,
    measure,
    low_rank_page};

}  // namespace isotape
