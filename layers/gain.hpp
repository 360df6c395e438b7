#pragma once

#include <string>
#include <vector>

#include <isotape/layers/model_spec.hpp>
#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// y = value x: what makes of a net of norm 1 one of another norm.
///
/// Lipschitz: |value| in l2, exactly; GNP: both if it is 1.
class Gain final : public Module {
 public:
  /// @param value  rounded to f32, so that f32 and f64 compute the same function
  /// @throws ValueError  unless finite
  explicit Gain(double value);
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override { return input; }
  std::string kind() const override { return "Gain"; }
  std::string describe() const override;
  Enclosure enclosure() const override;
  NormPreservation gnp() const override;
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;

 private:
  double value_;
};

extern const LayerType gain_type;

/// The layers of a model with the gain of the network shared out: of m gain layers, nested ones
/// counted, that name it (`network = K`), each gets `value` = K^(1/m).
/// @throws ValueError  if two of them name different gains, or one has other options, too
std::vector<LayerSpec> with_shared_gains(const std::vector<LayerSpec>& layers);

}  // namespace isotape
