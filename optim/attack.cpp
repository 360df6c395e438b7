#include <isotape/optim/attack.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/optim/attack_loss.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {
namespace {

void check_range(const AttackTask& task) {
  require<ValueError>(task.range.low < task.range.high, "attack: expected a range of pixels, got ",
                      task.range.low, "..", task.range.high);
  for (std::int64_t k = 0; k < task.x.size(); ++k) {
    const double entry = task.x.at(k);
    require<ValueError>(task.range.low <= entry && entry <= task.range.high,
                        "attack: expected entries in ", task.range.low, "..", task.range.high,
                        ", got ", entry);
  }
}

void check(const AttackTask& task) {
  const std::int64_t rows = task.x.rank() >= 1 ? task.x.dim(0) : 0;
  require<ShapeError>(task.x.rank() >= 2 && task.x.size() > 0,
                      "attack: expected images of shape [N, ...], got ", task.x.shape());
  require<ShapeError>(static_cast<std::int64_t>(task.labels.size()) == rows,
                      "attack: expected a label for each of ", rows, " images, got ",
                      task.labels.size());
  require<ShapeError>(static_cast<std::int64_t>(task.rngs.size()) == rows,
                      "attack: expected a generator for each of ", rows, " images, got ",
                      task.rngs.size());
  require<ValueError>(task.eps > 0, "attack: expected eps > 0, got ", task.eps);
  if (task.starts) {
    require<ShapeError>(task.starts.rank() == task.x.rank() &&
                            task.starts.shape().with(0, rows) == task.x.shape() &&
                            task.starts.dtype() == task.x.dtype(),
                        "attack: expected images to start from like ", task.x.shape(), ", got ",
                        task.starts.shape());
  }
  dispatch_float(task.x.dtype(), "attack", []<class T>() {});
  check_range(task);
}

// Moves the given rows away from their images, by a factor of their distance.
Tensor pushed_out(const AttackTask& task, const Tensor& y, double factor) {
  Tensor moved = y.clone();
  add_in_place(moved, task.x, -1);
  Tensor out = y.clone();
  add_in_place(out, moved, factor);
  clip(task.range, out);
  return out;
}

// Rounding differs from batch to batch: what lay just beyond the border may lie on it.
void push_over_border(const Victim& victim, const AttackTask& task, Tensor& y) {
  for (const double factor : {1e-6, 1e-5, 1e-4, 1e-3}) {
    const std::vector<std::uint8_t> over = misclassified(victim.logits(y), task.labels);
    const std::vector<double> far = row_distances(BallNorm::l2, task.x, y);
    std::vector<std::int64_t> short_of;
    for (std::size_t i = 0; i < over.size(); ++i) {
      if (over[i] == 0 && far[i] > 0) short_of.push_back(static_cast<std::int64_t>(i));
    }
    if (short_of.empty()) return;
    const Tensor out = pushed_out(part_of(task, short_of), gather_rows(y, short_of), factor);
    put_rows(y, short_of, out);
  }
}

}  // namespace

AttackResult Attack::run(const Victim& victim, const AttackTask& task) const {
  check(task);
  const std::vector<std::uint8_t> wrong = misclassified(victim.logits(task.x), task.labels);
  std::vector<std::uint8_t> right(wrong.size());
  std::transform(wrong.begin(), wrong.end(), right.begin(),
                 [](std::uint8_t w) { return static_cast<std::uint8_t>(w == 0); });
  const std::vector<std::int64_t> rows = rows_where(right);

  AttackResult result;
  result.x = task.x.clone();
  if (!rows.empty()) {
    const AttackTask part = part_of(task, rows);
    Tensor found = search(victim, part).clone();
    require_same("attack", found, part.x);
    if (goal() == AttackGoal::nearest) push_over_border(victim, part, found);
    put_rows(result.x, rows, found);
  }
  const Tensor logits = victim.logits(result.x);
  result.success = misclassified(logits, task.labels);
  result.margin = margins(logits, task.labels);
  // What was wrong from the start stays so, however its logits round in this batch.
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    if (wrong[i] != 0) result.success[i] = 1;
  }
  result.l2 = row_distances(BallNorm::l2, task.x, result.x);
  result.linf = row_distances(BallNorm::linf, task.x, result.x);
  return result;
}

AttackTask part_of(const AttackTask& task, std::span<const std::int64_t> rows) {
  return {gather_rows(task.x, rows),
          gathered(task.labels, rows),
          task.eps,
          task.range,
          gathered(task.rngs, rows),
          task.starts};
}

std::vector<std::int64_t> rows_where(const std::vector<std::uint8_t>& flags) {
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < flags.size(); ++i) {
    if (flags[i] != 0) rows.push_back(static_cast<std::int64_t>(i));
  }
  return rows;
}

Ball ball_of(const AttackTask& task, BallNorm norm) { return {norm, task.eps, task.range}; }

RowRngs streams(const RowRngs& rngs, std::uint64_t index) {
  RowRngs all;
  all.reserve(rngs.size());
  for (const Rng& rng : rngs) all.push_back(rng.stream(index));
  return all;
}

std::vector<std::uint8_t> misclassified(const Tensor& logits,
                                        std::span<const std::int32_t> labels) {
  const std::vector<std::int32_t> classes = predicted(logits);
  std::vector<std::uint8_t> wrong(classes.size());
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    wrong[i] = static_cast<std::uint8_t>(classes[i] != labels[i]);
  }
  return wrong;
}

}  // namespace isotape
