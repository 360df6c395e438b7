#pragma once

#include <cstdint>

#include <isotape/optim/attack.hpp>

namespace isotape {

struct UniversalOptions {
  BallNorm norm = BallNorm::l2;
  std::int64_t passes = 5;  ///< >= 1, over the images
  double fooled = 0.8;      ///< in (0, 1]: share of images that is enough
  std::int64_t steps = 10;  ///< >= 1, of DeepFool
};

/// Universal perturbation [Moosavi-Dezfooli 2017]: one v, |v| <= eps, for all images of the task.
/// In a random order, each image that clip(x + v) does not fool yet adds the way that DeepFool
/// finds from there:
///
///     v <- P(v + dv),   P the projection to the ball of radius eps around 0,
///
/// pass after pass, until the share of images asked for is fooled. The v that fools most of them is
/// kept. In units of the input. What is found depends on all images together.
class Universal final : public Attack {
 public:
  /// @throws ValueError  if an option is out of range
  explicit Universal(const UniversalOptions& options);
  BallNorm norm() const override { return options_.norm; }
  AttackGoal goal() const override { return AttackGoal::within_eps; }
  bool is_universal() const override { return true; }

 private:
  Tensor search(const Victim& victim, const AttackTask& task) const override;
  UniversalOptions options_;
};

}  // namespace isotape
