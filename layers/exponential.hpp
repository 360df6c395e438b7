#pragma once

#include <isotape/layers/parametrization.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// The exponential of a skew matrix made of the raw one [Lezcano-Casado 2019]: a rotation if
/// square, else its first columns (or rows); see skew_exp(). Raw entries start normal with
/// deviation sqrt(2 / (m + n)).
class Exponential final : public MatrixMap {
 public:
  std::string name() const override { return "exp"; }
  Tensor initial(const Shape& shape, Rng& rng) const override;
  Var apply(const Var& raw) const override;
  bool is_orthogonal() const override { return true; }
};

extern const LayerType exponential_type;

}  // namespace isotape
