#include <isotape/optim/apgd.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/optim/best_input.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {
namespace {

// The steps after which eta is looked at: p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03,
// 0.06).
std::vector<std::int64_t> checkpoints(std::int64_t steps) {
  std::vector<std::int64_t> all;
  double before = 0;
  double p = 0.22;
  while (p <= 1) {
    const auto at = static_cast<std::int64_t>(std::ceil(p * static_cast<double>(steps)));
    if (all.empty() || at > all.back()) all.push_back(at);
    const double next = p + std::max(p - before - 0.03, 0.06);
    before = p;
    p = next;
  }
  return all;
}

// What the rule for eta needs to know of one image.
struct Record {
  double eta = 0;
  double loss = 0;          // of the last point
  double best = 0;          // of all
  std::int64_t raised = 0;  // steps since the checkpoint that raised the loss
  double eta_before = 0;    // at the last checkpoint
  double best_before = 0;
};

// The images still under attack in one restart.
struct Front {
  std::vector<std::int64_t> rows;  // of the task
  AttackTask part;
  std::vector<std::int32_t> targets;
  std::vector<Record> records;
  Tensor y;
  Tensor before;  // the point before
  Tensor gradient;
  Tensor best;  // point and gradient of the best loss
  Tensor best_gradient;

  void shrink(const LowestMargin& found) {
    std::vector<std::int64_t> keep;
    for (std::size_t k = 0; k < rows.size(); ++k) {
      if (!found.is_broken(rows[k])) keep.push_back(static_cast<std::int64_t>(k));
    }
    if (2 * keep.size() > rows.size()) return;
    rows = gathered(rows, keep);
    part = part_of(part, keep);
    targets = gathered(targets, keep);
    records = gathered(records, keep);
    for (Tensor* tensor : {&y, &before, &gradient, &best, &best_gradient}) {
      *tensor = gather_rows(*tensor, keep);
    }
  }
};

// Loss and gradient at y; notes the best. @return  whether there is anything left to do
void look_at(const Victim& victim, AttackObjective objective, Front& front, LowestMargin& found) {
  Look look(victim, front.y);
  found.offer(front.rows, front.y, look.logits());
  const AttackLoss loss = attack_loss(objective, look.logits(), front.part.labels, front.targets);
  front.gradient = look.gradient(loss.seed);
  const bool is_first = !front.best;
  if (is_first) {
    front.best = front.y.clone();
    front.best_gradient = front.gradient.clone();
  }
  for (std::size_t i = 0; i < front.rows.size(); ++i) {
    Record& record = front.records[i];
    const double value = loss.value[i];
    if (is_first) {
      record.loss = record.best = record.best_before = value;
      continue;
    }
    record.raised += value > record.loss ? 1 : 0;
    record.loss = value;
    if (value <= record.best) continue;
    record.best = value;
    const auto row = static_cast<std::int64_t>(i);
    const std::int64_t one[] = {row};
    put_rows(front.best, one, front.y.rows(row, row + 1));
    put_rows(front.best_gradient, one, front.gradient.rows(row, row + 1));
  }
}

void step(BallNorm norm, double momentum, Front& front) {
  const Ball ball = ball_of(front.part, norm);
  std::vector<double> etas;
  for (const Record& record : front.records) etas.push_back(record.eta);
  Tensor z = front.y.clone();
  ascend(norm, front.gradient, etas, z, front.part.rngs);
  project(ball, front.part.x, z);
  // y + a (z - y) + (1 - a) (y - before) = a z + 2 (1 - a) y - (1 - a) before.
  Tensor next = Tensor::zeros(z.shape(), z.dtype());
  add_in_place(next, z, momentum);
  add_in_place(next, front.y, 2 * (1 - momentum));
  add_in_place(next, front.before, momentum - 1);
  project(ball, front.part.x, next);
  front.before = front.y;
  front.y = next;
}

void adapt(double rho, std::int64_t span, Front& front) {
  front.y = front.y.clone();
  for (std::size_t i = 0; i < front.rows.size(); ++i) {
    Record& record = front.records[i];
    const bool is_slow = static_cast<double>(record.raised) < rho * static_cast<double>(span);
    const bool is_stuck = record.eta == record.eta_before && record.best == record.best_before;
    record.eta_before = record.eta;
    record.best_before = record.best;
    record.raised = 0;
    if (!is_slow && !is_stuck) continue;
    record.eta /= 2;
    record.loss = record.best;
    const auto row = static_cast<std::int64_t>(i);
    const std::int64_t one[] = {row};
    put_rows(front.y, one, front.best.rows(row, row + 1));
    put_rows(front.gradient, one, front.best_gradient.rows(row, row + 1));
  }
}

void climb(const Victim& victim, const ApgdOptions& options, Front front, LowestMargin& found) {
  const std::vector<std::int64_t> looks = checkpoints(options.steps);
  std::size_t next = 0;
  std::int64_t last = 0;
  look_at(victim, options.objective, front, found);
  for (std::int64_t k = 0; k < options.steps; ++k) {
    front.shrink(found);
    if (front.rows.empty()) return;
    step(options.norm, k == 0 ? 1 : 0.75, front);
    look_at(victim, options.objective, front, found);
    if (next < looks.size() && k + 1 == looks[next]) {
      adapt(options.rho, looks[next] - last, front);
      last = looks[next++];
    }
  }
}

}  // namespace

Apgd::Apgd(const ApgdOptions& options) : options_(options) {
  require<ValueError>(options.steps >= 1, "apgd: expected steps >= 1, got ", options.steps);
  require<ValueError>(options.restarts >= 1, "apgd: expected restarts >= 1, got ",
                      options.restarts);
  require<ValueError>(0 < options.rho && options.rho < 1, "apgd: expected rho in (0, 1), got ",
                      options.rho);
}

Tensor Apgd::search(const Victim& victim, const AttackTask& task) const {
  require<ValueError>(std::isfinite(task.eps), "apgd: expected a finite eps, got ", task.eps);
  const Tensor clean = victim.logits(task.x);
  LowestMargin found(task, clean);
  for (std::int64_t r = 0; r < options_.restarts; ++r) {
    const std::vector<std::int64_t> rows = found.unbroken();
    if (rows.empty()) break;
    const std::vector<std::int32_t> targets = targets_of(options_.target, clean, task.labels, r);
    Front front;
    front.rows = rows;
    front.part = part_of(task, rows);
    front.part.rngs = streams(front.part.rngs, static_cast<std::uint64_t>(r));
    front.targets = gathered(targets, rows);
    front.records.resize(rows.size());
    for (Record& record : front.records) record.eta = record.eta_before = 2 * task.eps;
    front.y = random_start(ball_of(task, options_.norm), front.part.x, front.part.rngs);
    front.before = front.y;
    climb(victim, options_, std::move(front), found);
  }
  return found.x();
}

}  // namespace isotape
