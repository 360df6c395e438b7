#pragma once

#include <isotape/core/random.hpp>
#include <isotape/layers/derived.hpp>
#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// Block reflector: y = x W^T + b with W [out, in] the first rows and columns of I - 2 V (V^T V)^-1
/// V^T, V [n, rank] raw, n = max(in, out) [Lai 2025]. W is orthonormal on its smaller side; if it
/// is square, symmetric too. V starts normal, its span is what counts.
///
/// Lipschitz: sigma_max(W), 1 up to rounding. GNP: both for in = out, backward for out < in,
/// forward for out > in.
class BroLinear final : public Module {
 public:
  /// @param rank  1..n; 0: n / 2, the largest set of reflections, at least 1
  BroLinear(std::int64_t in, std::int64_t out, std::int64_t rank, Rng& rng, bool with_bias = true);

  Var forward(const Var& x) const override;
  Unbiased forward_unbiased(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "BroLinear"; }
  std::string describe() const override;
  Enclosure enclosure() const override;
  std::optional<DenseMap> dense_map() const override;
  NormPreservation gnp() const override;
  Spectrum spectrum(const Shape& input) const override;
  Residual residual() const override;
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  void collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const override;
  void derive() const override { derived_.get({&raw_}); }

 private:
  Tensor folded() const { return derived_.folded({&raw_})[0]; }
  std::int64_t in_;
  std::int64_t out_;
  mutable Parameter raw_;
  mutable Parameter bias_;
  Derived derived_;
};

extern const LayerType bro_type;

}  // namespace isotape
