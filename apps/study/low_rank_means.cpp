#include <isotape/apps/study/low_rank_means.hpp>

#include <cmath>

namespace isotape {

LowRankMeans::LowRankMeans(const std::vector<StudyResult>& results, std::string_view problem,
                           std::string_view net) {
  for (const StudyResult& r : results) {
    if (r.cell.at("problem") == problem && r.cell.at("net") == net) results_.push_back(&r.result);
  }
}

double LowRankMeans::number(const std::string& path) const {
  const StudyJson::json_pointer place(path);
  double sum = 0;
  double count = 0;
  for (const StudyJson* result : results_) {
    if (!result->contains(place)) continue;
    sum += result->at(place).get<double>();
    ++count;
  }
  return count > 0 ? sum / count : std::nan("");
}

std::vector<std::pair<double, double>> LowRankMeans::curve(const std::string& path,
                                                           std::size_t column) const {
  const StudyJson::json_pointer place(path);
  std::vector<std::pair<double, double>> points;
  for (const StudyJson* result : results_) {
    const StudyJson& list = result->at(place);
    points.resize(list.size());
    for (std::size_t i = 0; i < list.size(); ++i) {
      const bool is_plain = list[i].is_number();
      const double x = is_plain ? static_cast<double>(i + 1) : list[i][0].get<double>();
      const double y = is_plain ? list[i].get<double>() : list[i][column].get<double>();
      points[i].first += x / static_cast<double>(results_.size());
      points[i].second += y / static_cast<double>(results_.size());
    }
  }
  return points;
}

double LowRankMeans::at(const std::string& path, double x, std::size_t column) const {
  for (const auto& [px, py] : curve(path, column)) {
    if (std::abs(px - x) <= 1e-9) return py;
  }
  return std::nan("");
}

}  // namespace isotape
