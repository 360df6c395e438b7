#include <isotape/apps/audit_model.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/apps/errors.hpp>
#include <isotape/layers/jacobian.hpp>

namespace isotape {
namespace {

// The measured singular values are right to rounding only.
constexpr double svd_rounding = 1e-12;

std::string claim(NormPreservation kept, double bound) {
  switch (kept) {
    case NormPreservation::both:
      return "isometry";
    case NormPreservation::forward:
      return "keeps activations";
    case NormPreservation::backward:
      return "keeps gradients";
    case NormPreservation::none:
      break;
  }
  return bound <= 1 + sigma_tolerance ? "1-Lipschitz" : "none";
}

LayerAudit audit_layer(const Sequential::Part& part, const Shape& input, const Proof& proof) {
  const Module& layer = *part.module;
  LayerAudit audit;
  audit.name = part.name;
  audit.kind = layer.kind();
  audit.description = layer.describe();
  audit.output = layer.output_shape(input);
  audit.spectrum = layer.spectrum(input);
  audit.residual = layer.residual();
  audit.proved_min = proof.enclosure.lower;
  audit.bound = proof.bound();
  audit.claim = claim(layer.gnp(), audit.bound.value);
  return audit;
}

// All singular values at a few inputs, or, where there are too many, their density at one.
JacobianAudit audit_jacobian(Model& model, const Tensor& images) {
  constexpr std::int64_t exact_lines = 256;
  constexpr std::int64_t exact_samples = 16;
  model.net.prepare();
  const std::unique_ptr<Module> net = model.net.materialize(DType::f64);
  const std::int64_t lines = std::min(model.input.size(), model.classes);
  if (lines > exact_lines) {
    Rng rng(0);
    const SpectralDensity density =
        jacobian_density(*net, images.rows(0, 1).to(DType::f64), 40, 4, rng);
    return {1, density.quantile(0), density.quantile(0.5), density.sigma.front(),
            "stochastic Lanczos, 4 probes of 40 steps: an estimate"};
  }
  const std::int64_t samples = std::min(exact_samples, images.dim(0));
  std::vector<double> all;
  for (const auto& sigma : jacobian_singular_values(*net, images.rows(0, samples).to(DType::f64))) {
    all.insert(all.end(), sigma.begin(), sigma.end());
  }
  std::sort(all.begin(), all.end());
  return {samples, all.front(), all[all.size() / 2], all.back(), "SVD of the whole Jacobian"};
}

void set_shares(std::vector<LayerAudit>& layers) {
  double total = 0;
  for (const LayerAudit& layer : layers) total += std::max(0.0, std::log(layer.bound.value));
  if (total == 0) return;
  for (LayerAudit& layer : layers) {
    layer.share = std::max(0.0, std::log(layer.bound.value)) / total;
  }
}

// Every comparison is one that NaN fails.
void check_weights(const LayerAudit& layer, bool keeps_norms, std::vector<std::string>& found) {
  const std::vector<double>& sigma = layer.spectrum.sigma;
  const double bound = layer.bound.value;
  if (!(bound >= 0 && std::isfinite(bound))) {
    found.push_back(message(layer.name, ": expected a finite bound, got ", bound));
  }
  if (!sigma.empty() && !(sigma.front() <= bound * (1 + svd_rounding))) {
    found.push_back(message(layer.name, ": expected singular values of at most the proved bound ",
                            bound, ", measured ", sigma.front()));
  }
  if (!sigma.empty() && sigma.back() < layer.proved_min - svd_rounding * sigma.front()) {
    found.push_back(message(layer.name, ": expected singular values of at least the proved limit ",
                            layer.proved_min, ", measured ", sigma.back()));
  }
  if (!sigma.empty() && keeps_norms &&
      !(sigma.front() <= 1 + sigma_tolerance && sigma.back() >= 1 - sigma_tolerance)) {
    found.push_back(message(layer.name, " (", layer.claim, "): expected singular values within ",
                            sigma_tolerance, " of 1, measured ", sigma.back(), " to ",
                            sigma.front()));
  }
  if (!(layer.residual.value <= sigma_tolerance)) {
    found.push_back(message(layer.name, ": expected a residual of at most ", sigma_tolerance,
                            ", got ", layer.residual.value, ", ", layer.residual.reason));
  }
}

void check_gradients(const LayerAudit& layer, NormPreservation kept,
                     std::vector<std::string>& found) {
  if (!(layer.gain_max <= layer.bound.value * (1 + gain_tolerance))) {
    found.push_back(message(layer.name, ": expected gradients multiplied by at most the bound ",
                            layer.bound.value, ", measured a factor of ", layer.gain_max));
  }
  const bool keeps_gradients = kept == NormPreservation::both || kept == NormPreservation::backward;
  if (keeps_gradients &&
      !(layer.gain_min >= 1 - gain_tolerance && layer.gain_max <= 1 + gain_tolerance)) {
    found.push_back(message(layer.name, " (", layer.claim,
                            "): expected gradients of unchanged norm, measured a factor of ",
                            layer.gain_min, " to ", layer.gain_max));
  }
}

}  // namespace

AuditReport audit_model(Model& model, const Tensor& images, std::span<const std::int32_t> labels,
                        const BatchLoss& loss) {
  const std::vector<Sequential::Part>& parts = model.net.parts();
  AuditReport report;
  report.model = model.spec.name;
  report.input = model.input;
  const GradientFlow flow = gradient_flow(model, images, labels, loss);
  report.samples = flow.samples;
  report.active = flow.active;
  report.loss = flow.loss;
  report.input_gradient = flow.norm[0];
  report.input_low = flow.low[0];
  report.input_median = flow.median[0];
  report.input_high = flow.high[0];
  report.input_units = flow.units[0];
  report.jacobian = audit_jacobian(model, images);

  report.proof = model.net.proof();
  report.bound = report.proof.bound();
  report.head = prove_head(model.net, report.proof);

  Shape shape = model.input;
  double product = 1;
  for (std::size_t l = 0; l < parts.size(); ++l) {
    LayerAudit layer = audit_layer(parts[l], shape, report.proof.parts[l]);
    shape = layer.output;
    product = bound_product(product, layer.bound.value);
    layer.product = product;
    layer.gradient = flow.norm[l + 1];
    layer.gradient_low = flow.low[l + 1];
    layer.gradient_median = flow.median[l + 1];
    layer.gradient_high = flow.high[l + 1];
    layer.units = flow.units[l + 1];
    layer.gain_min = flow.gain_min[l];
    layer.gain_max = flow.gain_max[l];
    const NormPreservation kept = parts[l].module->gnp();
    check_weights(layer, kept != NormPreservation::none, report.violations);
    if (!std::isnan(layer.gain_max)) check_gradients(layer, kept, report.violations);
    report.layers.push_back(std::move(layer));
  }
  set_shares(report.layers);
  return report;
}

void require_claims(const AuditReport& report) {
  const std::size_t count = report.violations.size();
  if (count == 0) return;
  throw CheckError(message("audit: ", report.violations.front(),
                           count > 1 ? message("; ", count - 1, " more") : ""));
}

}  // namespace isotape
