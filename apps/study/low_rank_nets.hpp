#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/apps/run_config.hpp>
#include <isotape/apps/study/study.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/optim/ball.hpp>

namespace isotape {

/// Data and a net for them, whose representations are studied behind two of its layers.
struct LowRankProblem {
  std::string_view name;
  std::string_view title;
  ModelSpec (*spec)();
  std::string_view last;    ///< the layer before the last dense one
  std::string_view early;   ///< one further ahead
  std::int64_t early_rank;  ///< that is asked for there
  double norm_weight;       ///< of the norm loss; 1 in the paper
  std::int64_t epochs;
  std::string_view schedule;  ///< of the rate
  std::vector<double> eps;    ///< of attacks in linf, ascending, in units of the input
  double checked_eps;         ///< one of them, for the table of masked gradients
  double noise;               ///< standard deviation of the noise on entries
  std::int64_t train;         ///< the first so many images; 0: all
  std::int64_t test;
};
const std::vector<LowRankProblem>& low_rank_problems();
const LowRankProblem& low_rank_problem(std::string_view name);

/// A way of training.
struct LowRankVariant {
  std::string_view name;
  std::string_view title;
  std::string_view low_rank;  ///< for LowRank, with words for layers, a rank and a weight
  bool is_for_points;         ///< else for every problem
};
const std::vector<LowRankVariant>& low_rank_variants();

/// The data of a problem: of the study, or points made for a draw.
Dataset data_of(const LowRankProblem& problem, const StudyContext& context, std::int64_t draw);

/// Which net is wanted. A stranger has the vanilla recipe and a start of its own.
struct NetKey {
  const LowRankProblem& problem;
  std::string_view variant;  ///< or "stranger"
  std::int64_t draw;
};

/// The trained net, folded: from the study's folder if it is there, else trained and left there. A
/// training that a person stops goes on from where it was.
/// @throws Interrupted
Model net_of(const NetKey& key, const Dataset& data, const StudyContext& context);

}  // namespace isotape
