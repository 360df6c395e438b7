#pragma once

#include <isotape/layers/parametrization.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// The raw matrix with its rows divided by their norms: a last layer whose logits are 1-Lipschitz
/// one by one, so that margins of two of them need their difference only [Singla 2022, "LLN"]. As a
/// map its bound is above 1.
class UnitRows final : public MatrixMap {
 public:
  std::string name() const override { return "unit-rows"; }
  Var apply(const Var& raw) const override;
};

extern const LayerType unit_rows_type;

}  // namespace isotape
