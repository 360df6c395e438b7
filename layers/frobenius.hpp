#pragma once

#include <isotape/layers/parametrization.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// The raw matrix divided by its Frobenius norm: its spectral norm is 1 only if it has rank 1.
class Frobenius final : public MatrixMap {
 public:
  std::string name() const override { return "frobenius"; }
  Var apply(const Var& raw) const override;
};

extern const LayerType frobenius_type;

}  // namespace isotape
