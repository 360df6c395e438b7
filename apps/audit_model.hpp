#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <isotape/apps/gradient_flow.hpp>
#include <isotape/layers/head_proof.hpp>
#include <isotape/layers/lipsdp.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/layers/self_audit.hpp>

namespace isotape {

// Claims are checked with these tolerances. Folded weights are rounded to f32 once, which moves a
// singular value of 1 by 1e-7 at most; gradients pass through a layer in f32.

/// Of |sigma - 1| and of the residual, where a layer keeps norms.
inline constexpr double sigma_tolerance = drift_tolerance;
/// Of the factor by which a layer multiplies the norm of a gradient, relative.
inline constexpr double gain_tolerance = 1e-4;

/// One layer of a network: what it claims, what is proved of it, what was measured.
struct LayerAudit {
  std::string name;
  std::string kind;
  std::string description;
  Shape output;  ///< of one sample
  /// "isometry", "keeps activations", "keeps gradients" (see NormPreservation), "1-Lipschitz"
  /// (none of these, but the bound is at most 1 + sigma_tolerance) or "none".
  std::string claim;
  Spectrum spectrum;  ///< measured, of the folded weights on the image that the layer sees
  Residual residual;
  double proved_min = 0;  ///< lower end of the proved limits of the singular values
  Bound bound;            ///< their upper end, and the rule of both
  double product = 1;     ///< of the bounds of all layers up to this one, rounded up
  /// The part of the whole net's bound that is this layer's: max(0, log bound) over the sum of
  /// those. Near 1 that is its excess over 1, bound - 1, over the sum of the excesses. 0 if no
  /// layer has a bound above 1.
  double share = 0;
  /// Norm of the gradient at the layer's output, relative to that at the logits: the root mean
  /// square over the batch of |dL_i / dh|, L_i the loss of sample i. NaN if none has a gradient.
  double gradient = 0;
  /// The same norm of single samples, relative to their own at the logits: quantiles at 5, 50 and
  /// 95 percent; and the share of the output's entries whose gradient is not 0.
  double gradient_low = 0, gradient_median = 0, gradient_high = 0;
  double units = 0;
  /// Factor |dL_i / dh_in| / |dL_i / dh_out| by which the layer multiplies the norm of a gradient:
  /// least and largest of the batch. NaN if no gradient reaches the layer.
  double gain_min = 0;
  double gain_max = 0;
};

/// Singular values of the Jacobian of the logits at some inputs, measured.
struct JacobianAudit {
  std::int64_t samples = 0;
  double sigma_min = 0, median = 0, sigma_max = 0;  ///< over all samples
  std::string method;
};

/// What audit_model() found.
struct AuditReport {
  std::string model;
  Shape input;
  std::vector<LayerAudit> layers;
  Bound bound;     ///< of the whole net, proved
  Proof proof;     ///< of it, as a tree
  HeadProof head;  ///< of differences of logits
  /// Of the whole net by diagonal multipliers, where asked for; audit_model() leaves it absent.
  std::optional<LipSdp> multipliers;
  std::int64_t samples = 0;   ///< in the batch
  std::int64_t active = 0;    ///< of them that have a gradient at the logits
  double loss = 0;            ///< mean
  double input_gradient = 0;  ///< at the input, as LayerAudit::gradient
  double input_low = 0, input_median = 0, input_high = 0;
  double input_units = 0;
  JacobianAudit jacobian;
  /// One line for each claim that does not hold, beginning with the layer's name.
  std::vector<std::string> violations;
};

/// Measures the folded network layer by layer: singular values, and norms of gradients on a batch.
/// A violation is a singular value or a gradient's gain above the proved bound, one other than 1
/// where the layer keeps norms, or a constraint that is not met.
///
/// @param images  [N, ...] of the model's input, N >= 1
/// @param labels  N class numbers
/// @param loss    the mean over the batch, as in ops/loss.hpp
/// @throws ShapeError    if the images do not fit
/// @throws NumericError  if the loss or a weight is not finite
AuditReport audit_model(Model& model, const Tensor& images, std::span<const std::int32_t> labels,
                        const BatchLoss& loss);

/// @throws CheckError  with the first violation, if there is one, and how many more there are
void require_claims(const AuditReport& report);

}  // namespace isotape
