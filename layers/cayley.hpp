#pragma once

#include <isotape/layers/parametrization.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// The Cayley transform of the raw matrix [Helfrich 2018; Trockman 2021, rectangular]: orthogonal
/// without iteration, and without -1 among the eigenvalues if square. Raw entries start normal with
/// deviation sqrt(2 / (m + n)).
class Cayley final : public MatrixMap {
 public:
  std::string name() const override { return "cayley"; }
  Tensor initial(const Shape& shape, Rng& rng) const override;
  Var apply(const Var& raw) const override;
  bool is_orthogonal() const override { return true; }
};

extern const LayerType cayley_type;

}  // namespace isotape
