#include <isotape/optim/autoattack.hpp>

#include <isotape/core/error.hpp>
#include <isotape/optim/apgd.hpp>
#include <isotape/optim/fab.hpp>
#include <isotape/optim/image_rows.hpp>
#include <isotape/optim/square_attack.hpp>

namespace isotape {

AutoAttack::AutoAttack(const AutoAttackOptions& options) {
  attacks_.push_back(std::make_shared<Apgd>(ApgdOptions{.steps = options.steps}));
  attacks_.push_back(std::make_shared<Apgd>(ApgdOptions{.steps = options.steps,
                                                        .restarts = options.targets,
                                                        .objective = AttackObjective::dlr,
                                                        .target = {AttackTarget::Kind::each, 0}}));
  attacks_.push_back(
      std::make_shared<Fab>(FabOptions{.steps = options.steps, .targets = options.targets}));
  attacks_.push_back(std::make_shared<Square>(SquareOptions{.queries = options.queries}));
}

Tensor AutoAttack::search(const Victim& victim, const AttackTask& task) const {
  Tensor found = task.x.clone();
  std::vector<std::int64_t> rows = all_rows(task.x.dim(0));
  for (std::size_t a = 0; a < attacks_.size() && !rows.empty(); ++a) {
    AttackTask part = part_of(task, rows);
    part.rngs = streams(part.rngs, a);
    const AttackResult result = attacks_[a]->run(victim, part);
    std::vector<std::int64_t> broken;
    std::vector<std::int64_t> from;
    std::vector<std::int64_t> left;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const bool is_broken = result.success[i] != 0 && result.l2[i] <= task.eps;
      (is_broken ? broken : left).push_back(rows[i]);
      if (is_broken) from.push_back(static_cast<std::int64_t>(i));
    }
    if (!broken.empty()) put_rows(found, broken, gather_rows(result.x, from));
    rows = left;
  }
  return found;
}

}  // namespace isotape
