#pragma once

#include <string>

#include <isotape/optim/optimizer.hpp>

namespace isotape {

struct RmspropOptions {
  double alpha = 0.99;  ///< in [0, 1)
  double eps = 1e-8;    ///< >= 1e-30
  double momentum = 0;  ///< in [0, 1)
  Decay decay = {};     ///< added to the gradient
};

/// RMSprop [Tieleman 2012], in the form and with the defaults of PyTorch:
///
///     g <- g + decay w;   s <- alpha s + (1 - alpha) g^2
///     v <- momentum v + g / (sqrt(s) + eps);   w <- w - lr v
class Rmsprop final : public Optimizer {
 public:
  /// @throws ValueError  `rmsprop: expected alpha in [0, 1), got 1`, and the like
  explicit Rmsprop(const ParameterList& parameters, const RmspropOptions& options = {});
  std::string describe() const override;

 private:
  Loop update(const Update& update) const override;
  RmspropOptions options_;
};

}  // namespace isotape
