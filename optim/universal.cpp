#include <isotape/optim/universal.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/optim/deepfool.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {
namespace {

constexpr std::int64_t images_at_a_time = 500;

// clip(x + v), kept in the ball to the bit.
Tensor shifted(const AttackTask& task, BallNorm norm, const Tensor& v) {
  Tensor y = task.x.clone();
  for (std::int64_t i = 0; i < y.dim(0); ++i) {
    const std::int64_t one[] = {i};
    Tensor row = task.x.rows(i, i + 1).clone();
    add_in_place(row, v);
    put_rows(y, one, row);
  }
  project(ball_of(task, norm), task.x, y);
  return y;
}

std::vector<std::uint8_t> fooled(const Victim& victim, const AttackTask& task, BallNorm norm,
                                 const Tensor& v) {
  std::vector<std::uint8_t> all;
  const Tensor y = shifted(task, norm, v);
  for (std::int64_t begin = 0; begin < y.dim(0); begin += images_at_a_time) {
    const std::int64_t end = std::min(begin + images_at_a_time, y.dim(0));
    const std::vector<std::int32_t> labels(task.labels.begin() + begin, task.labels.begin() + end);
    const auto wrong = misclassified(victim.logits(y.rows(begin, end)), labels);
    all.insert(all.end(), wrong.begin(), wrong.end());
  }
  return all;
}

// v <- P(v + dv) by DeepFool on one image, if v does not fool it yet.
void add_way(const Victim& victim, const AttackTask& task, std::int64_t image,
             const UniversalOptions& options, Tensor& v) {
  const std::int64_t rows[] = {image};
  AttackTask one = part_of(task, rows);
  one.x = shifted(one, options.norm, v);
  one.eps = HUGE_VAL;
  if (misclassified(victim.logits(one.x), one.labels)[0] != 0) return;
  const DeepFool deepfool({.norm = options.norm, .steps = options.steps, .refine = 0});
  const AttackResult found = deepfool.run(victim, one);
  if (found.success[0] == 0) return;
  Tensor moved = v.clone();
  add_in_place(moved, found.x);
  add_in_place(moved, one.x, -1);
  project({options.norm, task.eps, {}}, Tensor::zeros(v.shape(), v.dtype()), moved);
  v = moved;
}

}  // namespace

Universal::Universal(const UniversalOptions& options) : options_(options) {
  require<ValueError>(options.passes >= 1, "universal: expected passes >= 1, got ", options.passes);
  require<ValueError>(options.steps >= 1, "universal: expected steps >= 1, got ", options.steps);
  require<ValueError>(0 < options.fooled && options.fooled <= 1,
                      "universal: expected fooled in (0, 1], got ", options.fooled);
}

Tensor Universal::search(const Victim& victim, const AttackTask& task) const {
  require<ValueError>(std::isfinite(task.eps), "universal: expected a finite eps, got ", task.eps);
  const std::int64_t images = task.x.dim(0);
  Tensor v = Tensor::zeros(task.x.shape().with(0, 1), task.x.dtype());
  Tensor best = v;
  std::ptrdiff_t most = 0;
  Rng rng = task.rngs.front();
  for (std::int64_t p = 0; p < options_.passes; ++p) {
    for (const std::int64_t image : rng.permutation(images)) {
      add_way(victim, task, image, options_, v);
    }
    const std::vector<std::uint8_t> wrong = fooled(victim, task, options_.norm, v);
    const auto count = std::count(wrong.begin(), wrong.end(), 1);
    if (count > most) {
      most = count;
      best = v;
    }
    if (static_cast<double>(count) >= options_.fooled * static_cast<double>(images)) break;
  }
  return shifted(task, options_.norm, best);
}

}  // namespace isotape
