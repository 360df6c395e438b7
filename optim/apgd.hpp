#pragma once

#include <cstdint>

#include <isotape/optim/attack.hpp>
#include <isotape/optim/attack_loss.hpp>

namespace isotape {

struct ApgdOptions {
  BallNorm norm = BallNorm::l2;
  std::int64_t steps = 100;   ///< >= 1, of each restart
  std::int64_t restarts = 1;  ///< >= 1
  double rho = 0.75;          ///< in (0, 1): share of steps that must succeed
  AttackObjective objective = AttackObjective::cross_entropy;
  AttackTarget target = {};
};

/// Auto-PGD [Croce 2020]: projected gradient ascent with momentum whose step length adapts. From a
/// start uniform in the ball, with eta = 2 eps at first and a = 0.75 (1 in the first step),
///
///     z = P(y_k + eta d(g_k)),   y_{k+1} = P(y_k + a (z - y_k) + (1 - a) (y_k - y_{k-1})).
///
/// At checkpoints (after 22 % of the steps, then in shorter and shorter spans: each 3 % shorter, at
/// least 6 %) eta is halved and the best point of all is gone back to, if less than rho of the
/// steps since the last one raised the loss, or if neither eta nor the best loss has changed since.
/// With cross entropy it is APGD-CE, with dlr and each target in turn APGD-DLR-T. In units of the
/// input.
class Apgd final : public Attack {
 public:
  /// @throws ValueError  if an option is out of range
  explicit Apgd(const ApgdOptions& options);
  BallNorm norm() const override { return options_.norm; }
  AttackGoal goal() const override { return AttackGoal::within_eps; }

 private:
  Tensor search(const Victim& victim, const AttackTask& task) const override;
  ApgdOptions options_;
};

}  // namespace isotape
