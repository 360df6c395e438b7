#pragma once

#include <isotape/apps/study/study.hpp>

namespace isotape {

/// One kind of net of the study; its ratios are n / k, or, of deeper nets, widths.
struct Experiment {
  std::string_view name;
  std::string_view title;
  std::int64_t d;
  std::vector<std::int64_t> n;
  std::vector<double> ratios;
  std::int64_t depth = 1;  // hidden layers
  std::string_view activation = "relu";
  bool is_wide_start = false;
  bool is_penalised = false;
};

const std::vector<Experiment>& experiments();

/// The report of the study: lines through the means of whatever cells there are.
StudyPage robustness_law_page(const std::vector<StudyResult>& results,
                              const StudySettings& settings);

}  // namespace isotape
