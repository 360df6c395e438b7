#pragma once

#include <string>

#include <isotape/optim/optimizer.hpp>

namespace isotape {

struct AdamOptions {
  double beta1 = 0.9;    ///< in [0, 1)
  double beta2 = 0.999;  ///< in [0, 1)
  double eps = 1e-8;     ///< >= 1e-30
  Decay decay = {};
  bool decoupled = false;  ///< AdamW: decay acts on the value, not through the gradient
};

/// Adam [Kingma 2015], and with decoupled decay AdamW [Loshchilov 2019]:
///
///     m <- beta1 m + (1 - beta1) g;   v <- beta2 v + (1 - beta2) g^2
///     w <- w - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
///
/// after g <- g + decay w, or (decoupled) w <- w - lr decay w. The first step is -lr sign(g) but
/// for eps. t counts the updates of each parameter.
class Adam final : public Optimizer {
 public:
  /// @throws ValueError  `adam: expected beta1 in [0, 1), got 1.5`, and the like
  explicit Adam(const ParameterList& parameters, const AdamOptions& options = {});
  std::string describe() const override;

 private:
  Loop update(const Update& update) const override;
  AdamOptions options_;
};

}  // namespace isotape
