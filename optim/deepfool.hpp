#pragma once

#include <cstdint>

#include <isotape/optim/attack.hpp>

namespace isotape {

struct DeepFoolOptions {
  BallNorm norm = BallNorm::l2;
  std::int64_t steps = 50;       ///< >= 1
  std::int64_t candidates = 10;  ///< >= 1: classes looked at, from the runner-up on
  double overshoot = 0.02;       ///< >= 0
  int refine = 10;  ///< >= 0: halvings of the segment between image and input, see NearestWrong
};

/// DeepFool [Moosavi-Dezfooli 2016]: the nearest input of another class, were the logits linear,
/// and again from there. With f_j' = f_j - f_y and w_j its gradient at the iterate,
///
///     j = argmin |f_j'| / |w_j|_q,   r = |f_j'| w_j / |w_j|_2^2 in l2 (q = 2),
///                                    r = |f_j'| sign(w_j) / |w_j|_1 in linf (q = 1),
///     y = clip(x + (1 + overshoot) sum of all r),
///
/// until the class changes; 1e-4 is added to each length, against standing still. Then the segment
/// to the image is halved (ours), so that the overshoot is taken back. Where all w_j vanish it
/// steps in a random direction, by 0.01 per entry on average. In units of the input.
class DeepFool final : public Attack {
 public:
  /// @throws ValueError  if an option is out of range
  explicit DeepFool(const DeepFoolOptions& options);
  BallNorm norm() const override { return options_.norm; }
  AttackGoal goal() const override { return AttackGoal::nearest; }

 private:
  Tensor search(const Victim& victim, const AttackTask& task) const override;
  DeepFoolOptions options_;
};

}  // namespace isotape
