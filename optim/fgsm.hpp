#pragma once

#include <isotape/optim/attack.hpp>
#include <isotape/optim/attack_loss.hpp>

namespace isotape {

struct FgsmOptions {
  BallNorm norm = BallNorm::l2;
  AttackObjective objective = AttackObjective::margin;
  AttackTarget target = {};
};

/// Fast gradient (sign) method [Goodfellow 2015]: one step to the border of the ball,
///
///     y = P(x + eps d(dL/dx)),   d(g) = sign(g) in linf, g / |g|_2 in l2,
///
/// P the projection to the ball and the range; in units of the input. A zero gradient is answered
/// by a random direction. The image is kept where the step does not lower the margin.
class Fgsm final : public Attack {
 public:
  explicit Fgsm(const FgsmOptions& options) : options_(options) {}
  BallNorm norm() const override { return options_.norm; }
  AttackGoal goal() const override { return AttackGoal::within_eps; }

 private:
  Tensor search(const Victim& victim, const AttackTask& task) const override;
  FgsmOptions options_;
};

}  // namespace isotape
