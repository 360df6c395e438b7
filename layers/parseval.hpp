#pragma once

#include <isotape/layers/parametrization.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// One Parseval update of the raw matrix within the forward pass [Cisse 2017]:
///
///     y = (1 + step) w - step w w^T w.
///
/// With step = 1/2 singular values of w up to 2 become 1 at most, and 1 stays 1 with slope 0: raw
/// matrices start orthogonal and remain near. Nothing holds them there, so that the bound is what
/// is proved of the weight.
class Parseval final : public MatrixMap {
 public:
  explicit Parseval(double step) : step_(step) {}
  std::string name() const override { return "parseval"; }
  Tensor initial(const Shape& shape, Rng& rng) const override;
  Var apply(const Var& raw) const override;

 private:
  double step_;  // in (0, 1/2]
};

extern const LayerType parseval_type;

}  // namespace isotape
