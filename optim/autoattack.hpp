#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <isotape/optim/attack.hpp>

namespace isotape {

struct AutoAttackOptions {
  std::int64_t steps = 100;     ///< >= 1, of APGD and FAB
  std::int64_t targets = 9;     ///< >= 1, of APGD-DLR-T and FAB-T
  std::int64_t queries = 5000;  ///< >= 1, of Square
};

/// The ensemble of [Croce 2020], "standard" version in l2: APGD-CE, APGD-DLR-T, FAB-T and Square
/// one after the other, each on the images that those before it left right. At least four classes.
class AutoAttack final : public Attack {
 public:
  /// @throws ValueError  if an option is out of range
  explicit AutoAttack(const AutoAttackOptions& options);
  BallNorm norm() const override { return BallNorm::l2; }
  AttackGoal goal() const override { return AttackGoal::within_eps; }

 private:
  Tensor search(const Victim& victim, const AttackTask& task) const override;
  std::vector<std::shared_ptr<const Attack>> attacks_;
};

}  // namespace isotape
