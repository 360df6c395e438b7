#pragma once

#include <string_view>

#include <isotape/layers/weight.hpp>

namespace isotape {

/// y = x W^T + b with W [out, in] under a parametrization. The bias starts uniform in +-1/sqrt(in).
///
/// Lipschitz: sigma_max(W) in l2; 1 for orthogonal weights. GNP: those do, both for square W,
/// backward for out < in, forward for out > in [Anil 2019].
class Linear final : public Module {
 public:
  /// @param in, out          extents, >= 1
  /// @param parametrization  Bjorck{}, Cayley{}, ..., or Unconstrained{}
  /// @throws ValueError      if an extent is not positive
  Linear(std::int64_t in, std::int64_t out, const Parametrization& parametrization, Rng& rng,
         bool with_bias = true);

  Var forward(const Var& x) const override;
  Unbiased forward_unbiased(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "Linear"; }
  std::string describe() const override;
  Enclosure enclosure() const override;
  std::optional<DenseMap> dense_map() const override;
  NormPreservation gnp() const override;
  Spectrum spectrum(const Shape& input) const override;
  Residual residual() const override { return weight_.residual(); }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  void collect(const std::string& prefix, BufferList& buffers) override;
  void collect(const std::string& prefix, std::vector<NamedWeight>& weights) override;
  void collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const override;

  const Weight& weight() const { return weight_; }
  /// The weight of the active recording, or the folded one.
  Var recorded_weight() const { return weight_.var(); }

 private:
  std::int64_t in_;
  std::int64_t out_;
  mutable Weight weight_;  // forward remembers the weight on the tape and leaves its value alone
  mutable Parameter bias_;
};

/// Limits of the singular values of a dense layer's weight, and their rule.
/// @throws NumericError  if they are not finite, naming the layer
Enclosure matrix_enclosure(std::string_view layer, const Tensor& weight);

/// @throws NumericError  unless the bias, if there is one, is finite, naming the layer: with NaN
/// the
///                       layer is no map, and nothing is proved of it
void require_finite_bias(std::string_view layer, const Parameter& bias);

extern const LayerType linear_type;

}  // namespace isotape
