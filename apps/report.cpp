#include <isotape/apps/report.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include <isotape/apps/assets.hpp>
#include <isotape/apps/eps.hpp>
#include <isotape/apps/html.hpp>
#include <isotape/apps/report_body.hpp>
#include <isotape/core/atomic_file.hpp>

namespace isotape {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t curve_points = 400;
constexpr std::size_t sigma_points = 201;

// The k-th of `sigma_points` equally spaced ranks of values that descend.
double at_rank(const std::vector<double>& values, std::size_t k) {
  const double place = static_cast<double>(k) / (sigma_points - 1);
  const auto rank = std::lround(place * static_cast<double>(values.size() - 1));
  return values[static_cast<std::size_t>(rank)];
}

Json sigmas_of(const ReportData::Layer& layer) {
  std::vector<double> sorted = layer.sigmas;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  Json values = Json::array();
  for (std::size_t k = 0; k < sigma_points; ++k) values.push_back(at_rank(sorted, k));
  return {{"name", layer.name}, {"values", values}};
}

}  // namespace

CertifiedCurve certified_curve(std::vector<double> radii, std::size_t points) {
  CertifiedCurve curve;
  if (radii.empty()) return curve;
  std::sort(radii.begin(), radii.end());
  const auto add = [&](double eps) {
    const auto beyond = radii.end() - std::upper_bound(radii.begin(), radii.end(), eps);
    curve.eps.push_back(eps);
    curve.percent.push_back(100.0 * static_cast<double>(beyond) /
                            static_cast<double>(radii.size()));
  };
  add(0);
  const double step = static_cast<double>(radii.size() - 1) / static_cast<double>(points - 1);
  for (std::size_t k = 0; k < points; ++k) {
    const double eps = radii[static_cast<std::size_t>(std::lround(step * static_cast<double>(k)))];
    if (eps > curve.eps.back()) add(eps);
  }
  return curve;
}

std::string report_json(const ReportData& data) {
  Json json = {{"eps", Json::array()},    {"loss", Json::array()}, {"epochs", Json::array()},
               {"sigmas", Json::array()}, {"grid", Json::array()}, {"gradients", Json::array()}};
  for (const std::string& text : data.eps) {
    json["eps"].push_back({{"text", text}, {"value", parse_eps("report", text).value}});
  }
  for (const auto& [epoch, loss] : data.loss)
    json["loss"].push_back({{"epoch", epoch}, {"loss", loss}});
  for (const ReportData::Epoch& epoch : data.epochs) {
    json["epochs"].push_back({{"epoch", epoch.epoch},
                              {"clean", epoch.clean_accuracy},
                              {"certified", epoch.certified_accuracy}});
  }
  const CertifiedCurve curve = certified_curve(data.radii, curve_points);
  json["curve"] = {{"eps", curve.eps}, {"percent", curve.percent}};
  for (std::size_t k = 0; k < sigma_points; ++k) {
    json["grid"].push_back(100.0 * static_cast<double>(k) / (sigma_points - 1));
  }
  for (const ReportData::Layer& layer : data.layers) {
    if (!layer.sigmas.empty()) json["sigmas"].push_back(sigmas_of(layer));
  }
  for (const ReportData::Gradient& at : data.gradients) {
    json["gradients"].push_back(
        {{"layer", at.layer}, {"norm", at.norm}, {"low", at.low}, {"high", at.high}});
  }
  return html::script_safe(json.dump(-1, ' ', true, Json::error_handler_t::replace));
}

std::string report_page(const ReportData& data) {
  return html::page(data.model + " on " + data.dataset, report_body(data), report_json(data),
                    assets::report_js);
}

void write_report(const std::filesystem::path& path, const ReportData& data) {
  write_file(path, report_page(data));
}

}  // namespace isotape
