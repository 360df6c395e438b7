#pragma once

#include <string>

#include <isotape/optim/optimizer.hpp>

namespace isotape {

struct SgdOptions {
  double momentum = 0;  ///< in [0, 1)
  bool nesterov = false;
  Decay decay = {};  ///< added to the gradient
};

/// Stochastic gradient descent with momentum [Polyak 1964] or Nesterov's [Sutskever 2013]:
///
///     g <- g + decay w;   v <- momentum v + g;   w <- w - lr v     (Nesterov: lr (g + momentum v))
class Sgd final : public Optimizer {
 public:
  /// @throws ValueError  on options out of range; Nesterov's needs a momentum
  explicit Sgd(const ParameterList& parameters, const SgdOptions& options = {});
  std::string describe() const override;

 private:
  Loop update(const Update& update) const override;
  SgdOptions options_;
};

}  // namespace isotape
