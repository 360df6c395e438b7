#pragma once

#include <string>

#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// The N-activation with two learnable kinks per channel [Prach 2023], see n_activation():
/// `lower` and `upper`, [C] each; where they have crossed, they act exchanged.
///
/// Lipschitz: 1 in l2; GNP: both, a sign at every point.
class NActivation final : public Module {
 public:
  NActivation(std::int64_t channels, double lower, double upper);
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "NActivation"; }
  std::string describe() const override;
  /// @throws NumericError  if a kink is not finite
  Enclosure enclosure() const override;
  NormPreservation gnp() const override { return NormPreservation::both; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  using Module::collect;

 private:
  mutable Parameter lower_;
  mutable Parameter upper_;
};

extern const LayerType nact_type;

}  // namespace isotape
