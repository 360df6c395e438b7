#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <isotape/apps/study/study.hpp>

namespace isotape {

/// Figures of one net of the study of low-rank representations: means over its draws. Paths are
/// those of the results: "/white/fgsm".
class LowRankMeans {
 public:
  LowRankMeans(const std::vector<StudyResult>& results, std::string_view problem,
               std::string_view net);

  bool is_empty() const { return results_.empty(); }
  std::size_t draws() const { return results_.size(); }
  /// NaN where no result has it.
  double number(const std::string& path) const;
  /// Of a list of lists, the first entry of each as x and another as y; of a list of numbers, the
  /// place, from 1, and the number.
  std::vector<std::pair<double, double>> curve(const std::string& path,
                                               std::size_t column = 1) const;
  /// y of the curve where x is; NaN where there is none.
  double at(const std::string& path, double x, std::size_t column = 1) const;

 private:
  std::vector<const StudyJson*> results_;
};

}  // namespace isotape
