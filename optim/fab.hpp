#pragma once

#include <cstdint>
#include <vector>

#include <isotape/optim/attack.hpp>

namespace isotape {

struct FabOptions {
  std::int64_t steps = 100;  ///< >= 1, for each target
  std::int64_t targets = 9;  ///< >= 1: classes drawn towards, from the runner-up on
  double alpha_max = 0.1;    ///< in [0, 1]: largest weight of the way from the image
  double eta = 1.05;         ///< >= 1: overshoot
  double beta = 0.9;         ///< in (0, 1): how far to go back towards the image
  int refine = 10;           ///< >= 0: halvings of the segment to the image, see NearestWrong
};

/// Fast adaptive boundary attack with targets, FAB-T, in l2 [Croce 2020b]. For each target t, from
/// the image x, with the plane pi on which the linear model of f_t - f_y at y is zero, and d(p) the
/// way from p to the nearest point of pi in the range (see nearest_on_plane()):
///
///     a = min(|d(y)| / (|d(y)| + |d(x)|), alpha_max),
///     y <- clip((1 - a) (y + eta d(y)) + a (x + eta d(x))),
///
/// and y <- (1 - beta) x + beta y whenever the class has changed. The nearest misclassified point
/// is kept, and the segment to the image halved. Where the gradient vanishes it steps in a random
/// direction, by 0.01 per entry on average. In units of the input.
class Fab final : public Attack {
 public:
  /// @throws ValueError  if an option is out of range
  explicit Fab(const FabOptions& options);
  BallNorm norm() const override { return BallNorm::l2; }
  AttackGoal goal() const override { return AttackGoal::nearest; }

 private:
  Tensor search(const Victim& victim, const AttackTask& task) const override;
  FabOptions options_;
};

/// The way from p to the nearest point z of the range with w . (z - p) = -value; to the corner of
/// the range that comes closest, if there is none. All entries in f64.
std::vector<double> nearest_on_plane(const std::vector<double>& p, const std::vector<double>& w,
                                     double value, const PixelRange& range);

}  // namespace isotape
