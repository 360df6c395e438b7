#pragma once

#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// Moves four fifths of the channels by `distance` pixels around the torus, a fifth each up, down,
/// left and right; the rest stays. With orthogonal 1 x 1 convolutions it sees like a convolution
/// and costs no weights [Lipschitz nets of shifts, 2025, "LipNeXt"].
///
/// Lipschitz: 1 in l2; GNP: both, a permutation.
class Shift final : public Module {
 public:
  /// @throws ValueError  if distance < 1
  explicit Shift(int distance);
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "Shift"; }
  std::string describe() const override;
  Enclosure enclosure() const override { return {1, 1, "a permutation"}; }
  NormPreservation gnp() const override { return NormPreservation::both; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;

 private:
  int distance_;
};

extern const LayerType shift_type;

}  // namespace isotape
