#pragma once

#include <isotape/layers/parametrization.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// The raw matrix divided by an upper bound s of its spectral norm, at most 5 % above it (for 512
/// rows), through which the gradient passes; see gram_norm_squared(). One-sided: by max(s, 1), so
/// that small weights stay what they are; two-sided, as a contrast, by s: small ones grow.
class Spectral final : public MatrixMap {
 public:
  explicit Spectral(bool two_sided) : two_sided_(two_sided) {}
  std::string name() const override { return two_sided_ ? "two-sided" : "spectral"; }
  Var apply(const Var& raw) const override;

 private:
  bool two_sided_;
};

extern const LayerType spectral_type;
extern const LayerType two_sided_type;

}  // namespace isotape
