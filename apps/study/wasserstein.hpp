#pragma once

#include <array>
#include <string_view>
#include <vector>

#include <isotape/apps/study/critic.hpp>
#include <isotape/apps/study/study.hpp>

namespace isotape {

/// A kind of critic: how its weights are held at norm 1, and what stands between them.
struct CriticKind {
  std::string_view name;
  std::string_view title;
  std::string_view weight;
  std::string_view activation;
};
inline constexpr std::array<CriticKind, 4> critic_kinds = {
    {{"orthogonal-max-min", "orthogonal, MaxMin", "bjorck", "max-min"},
     {"orthogonal-sort", "orthogonal, full sort", "bjorck", "sort"},
     {"spectral-max-min", "spectral norm, MaxMin", "spectral-norm", "max-min"},
     {"orthogonal-relu", "orthogonal, ReLU", "bjorck", "relu"}}};

/// Where critics are drawn along the problem's line.
std::vector<double> profile_places();

/// The report of the study: means over the draws that there are.
StudyPage wasserstein_page(const std::vector<StudyResult>& results, const StudySettings& settings);

}  // namespace isotape
