#pragma once

#include <string>
#include <vector>

#include <isotape/optim/optimizer.hpp>

namespace isotape {

struct AggmoOptions {
  std::vector<double> betas = {0, 0.9, 0.99};  ///< one to eight, each in [0, 1)
  Decay decay = {};                            ///< added to the gradient
};

/// Aggregated momentum [Lucas 2019]: the mean step of several momenta on one gradient,
///
///     g <- g + decay w;   v_k <- beta_k v_k + g;   w <- w - (lr / K) sum_k v_k
class Aggmo final : public Optimizer {
 public:
  /// @throws ValueError  `aggmo: expected betas in [0, 1), got 1`, and the like
  explicit Aggmo(const ParameterList& parameters, const AggmoOptions& options = {});
  std::string describe() const override;

 private:
  Loop update(const Update& update) const override;
  AggmoOptions options_;
};

}  // namespace isotape
