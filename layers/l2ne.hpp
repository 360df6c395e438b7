#pragma once

#include <isotape/layers/parametrization.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// w / f, f^2 = min(max_i sum_j |w w^T|_ij, max_i sum_j |w^T w|_ij): the l-infinity norms of both
/// Gram matrices, each a bound of |w|_2^2 [Qian 2019; Li 2019, "RK-L2NE"]. The gradient passes
/// through f, by its largest row. A zero matrix stays zero.
class L2Nonexpansive final : public MatrixMap {
 public:
  std::string name() const override { return "l2ne"; }
  Var apply(const Var& raw) const override;
};

/// A convolution whose reshaped kernel is L2Nonexpansive, divided by ceil(kernel / stride).
extern const LayerType l2ne_type;

}  // namespace isotape
