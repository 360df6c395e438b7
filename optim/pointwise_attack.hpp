#pragma once

#include <cstdint>

#include <isotape/optim/attack.hpp>

namespace isotape {

struct PointwiseOptions {
  std::int64_t passes = 3;    ///< >= 1, over all entries, in each of the two parts
  std::int64_t halvings = 8;  ///< >= 1, of each entry's way
};

/// Pointwise attack [Schott 2019], from predicted classes alone. It starts from a misclassified
/// input (see offer_far_starts()) and goes through the entries in a random order: first each entry
/// is set back to the image's wherever the class stays wrong; then the way of each that is left is
/// halved between right and wrong. Both parts repeat until nothing changes, or `passes` times. What
/// it finds is measured in l2, in units of the input.
class Pointwise final : public Attack {
 public:
  /// @throws ValueError  if an option is out of range
  explicit Pointwise(const PointwiseOptions& options);
  BallNorm norm() const override { return BallNorm::l2; }
  AttackGoal goal() const override { return AttackGoal::nearest; }

 private:
  Tensor search(const Victim& victim, const AttackTask& task) const override;
  PointwiseOptions options_;
};

}  // namespace isotape
