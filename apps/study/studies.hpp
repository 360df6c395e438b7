#pragma once

#include <isotape/apps/study/study.hpp>

namespace isotape {

extern const Study curve_fit_study;
extern const Study robustness_law_study;
extern const Study low_rank_study;
extern const Study wasserstein_study;

/// All studies, in the order of the help.
const std::vector<const Study*>& studies();

/// @throws UsageError  naming the studies that there are
const Study& study_of(std::string_view name);

}  // namespace isotape
