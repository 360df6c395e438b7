#pragma once

#include <isotape/layers/parametrization.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// The orthonormal factor of the raw matrix's QR factorisation by Householder reflectors, with a
/// positive diagonal of R: well defined to rounding at any condition. Raw matrices start
/// orthogonal.
class Qr final : public MatrixMap {
 public:
  std::string name() const override { return "qr"; }
  Tensor initial(const Shape& shape, Rng& rng) const override;
  Var apply(const Var& raw) const override;
  bool is_orthogonal() const override { return true; }
};

extern const LayerType qr_type;

}  // namespace isotape
