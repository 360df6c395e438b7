#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <isotape/layers/model.hpp>

namespace isotape {

/// Mean loss of a batch of logits.
using BatchLoss = std::function<Var(const Var& logits, std::span<const std::int32_t> labels)>;

/// Norms of the gradient at every depth h_0 (the input), h_1, ..., h_n (the logits) of a network of
/// n layers, through the folded weights. Per sample: the mean over a batch would shrink with it.
struct GradientFlow {
  std::int64_t samples = 0;
  /// Samples whose gradient at the logits is at least 1e-30: below, f32 loses digits, then all.
  std::int64_t active = 0;
  double loss = 0;  ///< mean
  /// n + 1 root mean squares over the batch of |dL_i / dh_l|, relative to that at the logits; NaN
  /// if no sample is active.
  std::vector<double> norm;
  /// n + 1 quantiles over the active samples, at 5, 50 and 95 percent, of |dL_i / dh_l| relative to
  /// that of the same sample at the logits; NaN if no sample is active.
  std::vector<double> low, median, high;
  std::vector<double> least, largest;  ///< the same at 0 and 100 percent
  /// n + 1 shares of the entries of dL_i / dh_l that are not 0, over the active samples: units that
  /// learn. NaN if no sample is active.
  std::vector<double> units;
  /// Of n layers, the least and largest |dL_i / dh_(l-1)| / |dL_i / dh_l| of the samples whose
  /// gradient reaches the layer; NaN if none does.
  std::vector<double> gain_min;
  std::vector<double> gain_max;
};

/// @param images  [N, ...] of the model's input, N >= 1
/// @param loss    the mean over the batch, as in ops/loss.hpp
/// @throws ShapeError    if the images do not fit
/// @throws NumericError  if the loss or a gradient is not finite
GradientFlow gradient_flow(Model& model, const Tensor& images, std::span<const std::int32_t> labels,
                           const BatchLoss& loss);

}  // namespace isotape
