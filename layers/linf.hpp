#pragma once

#include <isotape/layers/parametrization.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// The raw matrix with its rows projected onto the l1 ball, so that it is 1-Lipschitz in the
/// maximum norm [Anil 2019]; in l2 its bound is what is proved of its weight.
class Linf final : public MatrixMap {
 public:
  std::string name() const override { return "linf"; }
  Var apply(const Var& raw) const override;
};

extern const LayerType linf_type;

}  // namespace isotape
