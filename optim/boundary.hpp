#pragma once

#include <cstdint>

#include <isotape/optim/attack.hpp>

namespace isotape {

struct BoundaryOptions {
  std::int64_t steps = 5000;     ///< >= 1
  double spherical_step = 0.01;  ///< > 0, of the distance, at first
  double source_step = 0.01;     ///< > 0, of the distance, at first
  int refine = 10;               ///< >= 0: halvings of the segment to the image, see NearestWrong
};

/// Boundary attack in l2 [Brendel 2018], from predicted classes alone. From a misclassified input
/// (see offer_far_starts()) at distance D it walks along the border: a normal direction across that
/// to the image, of length spherical_step D, back to the sphere of radius D, then source_step D
/// towards the image; taken if the class is still wrong and the distance has shrunk. The
/// spherical step grows (shrinks) by 1.5 where more than half (less than a fifth) of the points on
/// the sphere are wrong, the source step where more than a quarter (less than a tenth) of the steps
/// are taken. An image is done when its source step is below 1e-7. In units of the input.
class Boundary final : public Attack {
 public:
  /// @throws ValueError  if an option is out of range
  explicit Boundary(const BoundaryOptions& options);
  BallNorm norm() const override { return BallNorm::l2; }
  AttackGoal goal() const override { return AttackGoal::nearest; }

 private:
  Tensor search(const Victim& victim, const AttackTask& task) const override;
  BoundaryOptions options_;
};

}  // namespace isotape
