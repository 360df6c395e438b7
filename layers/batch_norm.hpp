#pragma once

#include <string>

#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

struct BatchNormOptions {
  double momentum = 0.1;  ///< share of a new batch in the running moments, in (0, 1]
  double epsilon = 1e-5;  ///< added to variances, > 0
};

/// Batch normalisation [Ioffe 2015], see batch_norm(): while parameters are recorded by the moments
/// of the batch, which also move the running ones (the variance as n/(n-1) times the biased one);
/// else one scale and one shift per channel, folded in f64 from the running moments,
///
///     y = scale x + shift,   scale = gamma / sqrt(variance + epsilon),   shift = beta - scale
///     mean.
///
/// Lipschitz: at inference max |scale|, any number: for nets without a constraint. GNP: no.
class BatchNorm final : public Module {
 public:
  /// @throws ValueError  if channels < 1 or an option is out of range
  BatchNorm(std::int64_t channels, const BatchNormOptions& options = {});
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "BatchNorm"; }
  std::string describe() const override;
  /// @throws NumericError  if a parameter or a running moment is not finite
  Enclosure enclosure() const override;
  NormPreservation gnp() const override { return NormPreservation::none; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  void collect(const std::string& prefix, BufferList& buffers) override;
  void collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const override;
  using Module::collect;

 private:
  Var train(const Var& x) const;
  BatchNormOptions options_;
  mutable Parameter gamma_;
  mutable Parameter beta_;
  mutable Tensor mean_;
  mutable Tensor variance_;
};

extern const LayerType batch_norm_type;

}  // namespace isotape
