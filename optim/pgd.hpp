#pragma once

#include <cstdint>
#include <optional>

#include <isotape/optim/attack.hpp>
#include <isotape/optim/attack_loss.hpp>

namespace isotape {

struct PgdOptions {
  BallNorm norm = BallNorm::l2;
  std::int64_t steps = 50;           ///< >= 1, of each restart
  std::optional<double> alpha = {};  ///< length of a step, > 0, in units of the input; eps / 10
  std::int64_t restarts = 1;         ///< >= 1
  bool random_start = true;  ///< else from the image, and restarts differ by chance only where
                             ///< gradients vanish
  double momentum = 0;       ///< mu in [0, 1]
  AttackObjective objective = AttackObjective::margin;
  AttackTarget target = {};
  /// Whether an image is done when its class has changed, unless `early_stop` is off. If not, all
  /// steps are taken and the input of the least margin is returned, which is likelier to deceive
  /// another net, too.
  bool early_stop = true;
};

/// Projected gradient ascent [Madry 2018], and with a start at the image the basic iterative method
/// [Kurakin 2017]. From a start in the ball (uniform, see random_start()),
///
///     v <- mu v + g / |g|_1,   y <- P(y + alpha d(v)),   g = dL/dy,
///
/// d the direction of steepest ascent in the norm (see ascend()), P the projection to the ball and
/// the range, mu = 0 without momentum [Dong 2018] (then v = g). All in units of the input. A zero
/// gradient is answered by a random direction. The iterate of the least margin is kept; an image is
/// done when its class has changed, unless `early_stop` is off.
class Pgd final : public Attack {
 public:
  /// @throws ValueError  if an option is out of range
  explicit Pgd(const PgdOptions& options);
  BallNorm norm() const override { return options_.norm; }
  AttackGoal goal() const override { return AttackGoal::within_eps; }

 private:
  Tensor search(const Victim& victim, const AttackTask& task) const override;
  PgdOptions options_;
};

}  // namespace isotape
