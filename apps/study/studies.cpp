#include <isotape/apps/study/studies.hpp>

#include <isotape/apps/errors.hpp>
#include <isotape/core/error.hpp>

namespace isotape {

const std::vector<const Study*>& studies() {
  // clang-format off
  static const std::vector<const Study*> list = {
      &curve_fit_study,
      &robustness_law_study,
      &low_rank_study,
      &wasserstein_study,
  };
  // clang-format on
  return list;
}

const Study& study_of(std::string_view name) {
  std::string names;
  for (const Study* study : studies()) {
    if (study->name == name) return *study;
    names += (names.empty() ? "" : ", ") + std::string(study->name);
  }
  throw UsageError(message("study: expected one of ", names, ", got '", name, "'"));
}

}  // namespace isotape
