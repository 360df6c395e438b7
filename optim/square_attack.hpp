#pragma once

#include <cstdint>

#include <isotape/optim/attack.hpp>

namespace isotape {

struct SquareOptions {
  std::int64_t queries = 5000;  ///< >= 1, forward passes
  double p = 0.8;               ///< in (0, 1]: share of the image that is changed at first
};

/// Square attack in l2 [Andriushchenko 2020]: random search by squares, from the logits alone. The
/// perturbation starts as a grid of bumps of both signs and always has length eps. Each query draws
/// two windows of side s ~ sqrt(p H W): what the second holds is moved to the first, as a bump of a
/// random sign per channel on top of what is there,
///
///     delta_1 = r (bump + delta_1 / |delta_1|) / |...|,
///     r^2 = (eps^2 - |delta in both|^2) / C + |delta in both|^2,   delta_2 = 0,
///
/// and is kept if the margin f_y - max_{j != y} f_j falls. p falls with the queries, by halves. In
/// units of the input; inputs of other shapes than [N, H, W, C] count as a line of pixels.
class Square final : public Attack {
 public:
  /// @throws ValueError  if an option is out of range
  explicit Square(const SquareOptions& options);
  BallNorm norm() const override { return BallNorm::l2; }
  AttackGoal goal() const override { return AttackGoal::within_eps; }

 private:
  Tensor search(const Victim& victim, const AttackTask& task) const override;
  SquareOptions options_;
};

}  // namespace isotape
