#pragma once

#include <cstdint>

#include <isotape/optim/attack.hpp>

namespace isotape {

struct NoiseOptions {
  BallNorm norm = BallNorm::l2;
  std::int64_t samples = 100;  ///< >= 1
};

/// Random noise, what every attack must beat: y = P(x + eps u), u uniform on the unit sphere in l2,
/// random signs in linf; of `samples` draws the one of the least margin. In units of the input.
class Noise final : public Attack {
 public:
  /// @throws ValueError  if an option is out of range
  explicit Noise(const NoiseOptions& options);
  BallNorm norm() const override { return options_.norm; }
  AttackGoal goal() const override { return AttackGoal::within_eps; }

 private:
  Tensor search(const Victim& victim, const AttackTask& task) const override;
  NoiseOptions options_;
};

}  // namespace isotape
