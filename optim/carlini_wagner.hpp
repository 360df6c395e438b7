#pragma once

#include <cstdint>
#include <span>

#include <isotape/optim/attack.hpp>
#include <isotape/optim/best_input.hpp>

namespace isotape {

struct CarliniWagnerOptions {
  std::int64_t steps = 200;   ///< >= 1, of Adam in each round
  std::int64_t rounds = 6;    ///< >= 1, of the search for c
  std::int64_t targets = 0;   ///< >= 0: classes drawn towards in turn; 0: away from the label
  double c = 1;               ///< > 0: the first one
  double lr = 0.01;           ///< > 0, in units of the input (of w, with tanh)
  double kappa = 0;           ///< >= 0, in units of the logits
  bool through_tanh = false;  ///< keep the range by a change of variables, not by clipping
  int refine = 10;            ///< >= 0: halvings of the segment to the image, see NearestWrong
};

/// The l2 attack of Carlini and Wagner [Carlini 2017]: by Adam, its rate falling to 0 over a round,
///
///     minimise over y   |y - x|_2^2 + c max(f_y - max_{j != y} f_j + kappa, 0),
///
/// (with targets: f_y - f_t + kappa, for each t from the runner-up on) for the least c that changes
/// the class: c grows tenfold until it does, and is then halved between success and failure. The
/// range is kept by clipping y after each step (their "projected gradient descent"), or by y = low
/// + (high - low) (tanh w + 1) / 2, whose slope all but vanishes at pixels that are black or white.
/// The nearest misclassified iterate of all rounds is kept, and the segment to the image halved
/// (ours). In units of the input.
class CarliniWagner final : public Attack {
 public:
  /// @throws ValueError  if an option is out of range
  explicit CarliniWagner(const CarliniWagnerOptions& options);
  BallNorm norm() const override { return BallNorm::l2; }
  AttackGoal goal() const override { return AttackGoal::nearest; }

 private:
  Tensor search(const Victim& victim, const AttackTask& task) const override;
  void draw(const Victim& victim, const AttackTask& task, std::span<const std::int32_t> targets,
            NearestWrong& best) const;
  CarliniWagnerOptions options_;
};

}  // namespace isotape
