#include <isotape/apps/audit_text.hpp>

#include <fmt/format.h>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include <isotape/apps/histogram.hpp>
#include <isotape/apps/proof_text.hpp>
#include <isotape/apps/table.hpp>
#include <isotape/core/error.hpp>

namespace isotape {
namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

constexpr const char* absent = "-";

// Near 1 the interesting digits are those of f32.
std::string digits(double value) { return fmt::format("{:.9f}", value); }
// Of a bound: rounded up.
std::string digits_up(double value) { return digits(std::ceil(value * 1e9) / 1e9); }
// Of a lower end: rounded down.
std::string digits_down(double value) { return digits(std::floor(value * 1e9) / 1e9); }
std::string percent(double part) { return fmt::format("{:.1f}%", 100 * part); }
std::string factor(double value) {
  return std::isnan(value) ? absent : fmt::format("{:.6f}", value);
}

// What several layers have in common, said once: "text: conv1, conv2".
class Notes {
 public:
  void add(const std::string& text, const std::string& layer) {
    for (auto& [known, layers] : notes_) {
      if (known == text) {
        layers += ", " + layer;
        return;
      }
    }
    notes_.emplace_back(text, layer);
  }
  // Nothing without notes.
  std::string print(std::string_view heading) const {
    if (notes_.empty()) return "";
    std::string lines(heading);
    for (const auto& [text, layers] : notes_) lines += fmt::format("  {}: {}\n", layers, text);
    return lines;
  }

 private:
  std::vector<std::pair<std::string, std::string>> notes_;
};

std::string layers_table(const AuditReport& report) {
  Rows rows = {{"layer", "kind", "output", "claim", "sigma_min", "sigma_max",
                "proved >=", "proved <=", "residual", "share"}};
  Notes sigma;
  Notes residual;
  for (const LayerAudit& layer : report.layers) {
    const bool measured = !layer.spectrum.sigma.empty();
    const bool constrained = layer.residual.value != 0;
    rows.push_back({layer.name, layer.kind, message(layer.output), layer.claim,
                    measured ? digits(layer.spectrum.sigma.back()) : absent,
                    measured ? digits(layer.spectrum.sigma.front()) : absent,
                    digits_down(layer.proved_min), digits_up(layer.bound.value),
                    constrained ? fmt::format("{:.1e}", layer.residual.value) : absent,
                    percent(layer.share)});
    if (measured) sigma.add(layer.spectrum.method, layer.name);
    if (constrained) residual.add(layer.residual.reason, layer.name);
  }
  return table(rows) + '\n' +
         sigma.print("sigma: measured, in f64, of the folded weights; not a proof\n") +
         "proved: limits of all singular values, of the layer's Jacobian where it is not linear\n" +
         residual.print("residual: how far the layer is from its own constraint\n") +
         "share: part of the net's bound that is the layer's, by the logarithm\n";
}

std::string gradients_table(const AuditReport& report) {
  std::string text = fmt::format(
      "Gradients, measured on {} samples, {} of them with a gradient at the logits, mean loss "
      "{:.4f}:\n\n",
      report.samples, report.active, report.loss);
  Rows rows = {{"after", "|dL/dh|, logits 1", "5 %", "median", "95 %", "units", "least factor",
                "largest factor"}};
  const auto share = [](double part) { return std::isnan(part) ? absent : percent(part); };
  rows.push_back({"input", factor(report.input_gradient), factor(report.input_low),
                  factor(report.input_median), factor(report.input_high), share(report.input_units),
                  absent, absent});
  for (const LayerAudit& layer : report.layers) {
    rows.push_back({layer.name, factor(layer.gradient), factor(layer.gradient_low),
                    factor(layer.gradient_median), factor(layer.gradient_high), share(layer.units),
                    factor(layer.gain_min), factor(layer.gain_max)});
  }
  return text + table(rows) +
         "\n|dL/dh|: root mean square over the samples of the gradient's norm; 5 %, median, 95 %: "
         "of single\nsamples; units: entries whose gradient is not 0; factor: by which the layer "
         "multiplies it\n" +
         fmt::format(
             "\nJacobian of the logits at {} input{}: singular values {} to {}, median {} ({})\n",
             report.jacobian.samples, report.jacobian.samples == 1 ? "" : "s",
             factor(report.jacobian.sigma_min), factor(report.jacobian.sigma_max),
             factor(report.jacobian.median), report.jacobian.method);
}

std::string multipliers(const AuditReport& report) {
  if (!report.multipliers) return "";
  const LipSdp& found = *report.multipliers;
  return fmt::format(
      "\nProved bound with {} multipliers [Fazlyab 2019]: {} ({}); product of norms {}\n",
      found.hidden, digits_up(found.bound.value), found.bound.rule, digits_up(found.product));
}

Json multipliers_json(const AuditReport& report) {
  if (!report.multipliers) return nullptr;
  const LipSdp& found = *report.multipliers;
  return {{"bound", found.bound.value},
          {"rule", found.bound.rule},
          {"product", found.product},
          {"multipliers", found.hidden}};
}

std::string proof(const AuditReport& report) {
  return fmt::format("Proved bound of the net in l2: {} ({})\n\n{}\n{}{}",
                     digits_up(report.bound.value), report.bound.rule, proof_text(report.proof),
                     head_text(report.head), multipliers(report));
}

Json extents(const Shape& shape) { return std::vector(shape.begin(), shape.end()); }

// JSON has no NaN: what was not measured is null, as nlohmann prints it.
Json json(const LayerAudit& layer) {
  Json result = {
      {"name", layer.name},
      {"kind", layer.kind},
      {"description", layer.description},
      {"output", extents(layer.output)},
      {"claim", layer.claim},
      {"sigma_min", nullptr},
      {"sigma_max", nullptr},
      {"sigma_method", layer.spectrum.method},
      {"sigma_histogram", nullptr},
      {"residual", layer.residual.value},
      {"residual_reason", layer.residual.reason},
      {"proved_min", layer.proved_min},
      {"bound", layer.bound.value},
      {"bound_rule", layer.bound.rule},
      {"bound_product", layer.product},
      {"share", layer.share},
      {"gradient", layer.gradient},
      {"gradient_quantiles", {layer.gradient_low, layer.gradient_median, layer.gradient_high}},
      {"units", layer.units},
      {"gain_min", layer.gain_min},
      {"gain_max", layer.gain_max}};
  const std::vector<double>& sigma = layer.spectrum.sigma;
  if (!sigma.empty()) {
    const Histogram h = histogram(sigma);
    result["sigma_min"] = sigma.back();
    result["sigma_max"] = sigma.front();
    result["sigma_histogram"] = {{"lower", h.lower}, {"upper", h.upper}, {"counts", h.counts}};
  }
  return result;
}

}  // namespace

std::string to_text(const AuditReport& report) {
  std::string text = fmt::format("{}, {} layers, input {}\n\n", report.model, report.layers.size(),
                                 message(report.input));
  text += layers_table(report) + '\n' + gradients_table(report) + '\n' + proof(report);
  if (report.violations.empty()) return text + "\nEvery claim holds.\n";
  text += "\nBroken claims:\n";
  for (const std::string& violation : report.violations) text += "  " + violation + '\n';
  return text;
}

std::string to_json(const AuditReport& report) {
  Json layers = Json::array();
  for (const LayerAudit& layer : report.layers) layers.push_back(json(layer));
  const Json result = {
      {"model", report.model},
      {"input", extents(report.input)},
      {"bound", report.bound.value},
      {"bound_rule", report.bound.rule},
      {"proof", proof_json(report.proof)},
      {"head", head_json(report.head)},
      {"lipsdp", multipliers_json(report)},
      {"layers", layers},
      {"samples", report.samples},
      {"active_samples", report.active},
      {"loss", report.loss},
      {"input_gradient", report.input_gradient},
      {"input_gradient_quantiles", {report.input_low, report.input_median, report.input_high}},
      {"input_units", report.input_units},
      {"jacobian",
       {{"samples", report.jacobian.samples},
        {"sigma_min", report.jacobian.sigma_min},
        {"median", report.jacobian.median},
        {"sigma_max", report.jacobian.sigma_max},
        {"method", report.jacobian.method}}},
      {"violations", report.violations}};
  return result.dump(2);
}

void add_audit(ReportData& data, const AuditReport& report) {
  data.bound = report.bound.value;
  data.proof = proof(report);
  data.layers.clear();
  data.gradients.clear();
  ReportData::Gradient at{"",
                          report.input_gradient,
                          report.input_low,
                          report.input_median,
                          report.input_high,
                          100 * report.input_units};
  data.jacobian = fmt::format(
      "Singular values of the Jacobian of the logits at {} test image{}: {} to {}, median {} ({}).",
      report.jacobian.samples, report.jacobian.samples == 1 ? "" : "s",
      factor(report.jacobian.sigma_min), factor(report.jacobian.sigma_max),
      factor(report.jacobian.median), report.jacobian.method);
  for (const LayerAudit& layer : report.layers) {
    ReportData::Layer row;
    row.name = layer.name;
    row.kind = layer.description;
    row.shape = message(layer.output);
    row.claim = layer.claim;
    row.sigmas = layer.spectrum.sigma;
    if (!row.sigmas.empty()) {
      row.sigma_min = row.sigmas.back();
      row.sigma_max = row.sigmas.front();
      row.residual = layer.residual.value;
    }
    row.bound = layer.bound.value;
    row.share = 100 * layer.share;
    data.layers.push_back(std::move(row));
    at.layer = layer.name;
    if (report.active > 0) data.gradients.push_back(at);
    at = {"",
          layer.gradient,
          layer.gradient_low,
          layer.gradient_median,
          layer.gradient_high,
          100 * layer.units};
  }
  at.layer = "logits";
  if (report.active > 0) data.gradients.push_back(at);
}

}  // namespace isotape
