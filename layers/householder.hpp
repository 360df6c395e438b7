#pragma once

#include <string>

#include <isotape/core/random.hpp>
#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>
#include <isotape/ops/max_min.hpp>

namespace isotape {

/// The Householder activation of order 1 or 2 with learnable angles [Singla 2022], see
/// householder() and householder2(): `theta`, [C/2] from pi/2 (MaxMin), or [3, C/2] uniform in
/// [0, pi].
///
/// Lipschitz: 1 in l2; GNP: both, orthogonal at every point, for any angles.
class Householder final : public Module {
 public:
  /// @param channels  C, even
  /// @param order     1 or 2
  /// @throws ValueError  if channels or order is out of range
  Householder(std::int64_t channels, int order, Rng& rng, Pairing pairing = Pairing::split);
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return order_ == 1 ? "Householder" : "Householder2"; }
  std::string describe() const override;
  /// @throws NumericError  if an angle is not finite
  Enclosure enclosure() const override;
  NormPreservation gnp() const override { return NormPreservation::both; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  using Module::collect;

 private:
  std::int64_t channels_;
  int order_;
  Pairing pairing_;
  mutable Parameter theta_;  // asked for its leaf while recording
};

extern const LayerType householder_type;
extern const LayerType householder2_type;

}  // namespace isotape
