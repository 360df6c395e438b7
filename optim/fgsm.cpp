#include <isotape/optim/fgsm.hpp>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/optim/best_input.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {

Tensor Fgsm::search(const Victim& victim, const AttackTask& task) const {
  require<ValueError>(std::isfinite(task.eps), "fgsm: expected a finite eps, got ", task.eps);
  Look look(victim, task.x);
  LowestMargin best(task, look.logits());
  const std::vector<std::int32_t> targets = targets_of(options_.target, look.logits(), task.labels);
  const AttackLoss loss = attack_loss(options_.objective, look.logits(), task.labels, targets);
  Tensor y = task.x.clone();
  RowRngs rngs = task.rngs;
  const std::vector<double> steps(task.labels.size(), task.eps);
  ascend(options_.norm, look.gradient(loss.seed), steps, y, rngs);
  project(ball_of(task, options_.norm), task.x, y);
  best.offer(all_rows(task.x.dim(0)), y, victim.logits(y));
  return best.x();
}

}  // namespace isotape
