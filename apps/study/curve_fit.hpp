#pragma once

#include <array>
#include <string_view>

#include <isotape/apps/study/study.hpp>

namespace isotape {

inline constexpr std::array<int, 3> curve_gammas = {1, 5, 10};
inline constexpr int curve_points = 400;  ///< cells of the curves that are kept, on [-2, 2]

/// A kind of layer, and what was found with it elsewhere, by gamma.
struct CurveLayer {
  std::string_view name;  ///< of the model lbdn-curve:NAME
  std::string_view title;
  std::array<double, 3> published;        ///< tightness in percent [Wang 2023, table 1]
  std::array<double, 3> other_tightness;  ///< percent, of one run of that protocol in PyTorch
  std::array<double, 3> other_error;      ///< mean square error of that run
};
inline constexpr std::array<CurveLayer, 4> curve_layers = {
    {{"aol", "AOL", {77.2, 45.2, 47.9}, {83.1, 46.0, 45.1}, {.1001, .0299, .0151}},
     {"cayley", "orthogonal", {74.1, 72.8, 64.5}, {75.1, 72.5, 63.7}, {.0868, .0252, .0144}},
     {"sll", "SLL", {99.9, 90.5, 67.9}, {99.9, 90.7, 68.1}, {.0637, .0167, .0157}},
     {"sandwich", "sandwich", {99.9, 99.3, 94.0}, {100.0, 99.2, 93.0}, {.0637, .0131, .0075}}}};

/// The report of the study: medians over the draws that there are.
StudyPage curve_fit_page(const std::vector<StudyResult>& results, const StudySettings& settings);

}  // namespace isotape
