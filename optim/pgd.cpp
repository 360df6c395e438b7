#include <isotape/optim/pgd.hpp>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/optim/best_input.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {
namespace {

// The images still under attack in one restart, and where each stands.
struct Front {
  std::vector<std::int64_t> rows;  // of the task
  AttackTask part;
  std::vector<std::int32_t> targets;
  Tensor y;
  Tensor velocity;  // absent without momentum

  // Leaves out the images that are done, once they are half of all.
  void shrink(const LowestMargin& best) {
    std::vector<std::int64_t> keep;
    for (std::size_t k = 0; k < rows.size(); ++k) {
      if (!best.is_broken(rows[k])) keep.push_back(static_cast<std::int64_t>(k));
    }
    if (2 * keep.size() > rows.size()) return;
    rows = gathered(rows, keep);
    part = part_of(part, keep);
    targets = gathered(targets, keep);
    y = gather_rows(y, keep);
    if (velocity) velocity = gather_rows(velocity, keep);
  }
};

// v <- mu v + g / |g|_1 by rows; a zero gradient adds nothing.
void add_momentum(Tensor& velocity, const Tensor& gradient, double mu) {
  dispatch_float(velocity.dtype(), "pgd", [&]<class T>() {
    const std::int64_t rows = velocity.dim(0);
    const std::int64_t n = velocity.size() / rows;
    T* all = velocity.write<T>();
    for (std::int64_t i = 0; i < rows; ++i) {
      const T* g = gradient.data<T>() + i * n;
      T* v = all + i * n;
      double sum = 0;
      for (std::int64_t k = 0; k < n; ++k) sum += std::abs(static_cast<double>(g[k]));
      const double factor = sum > 0 ? 1 / sum : 0;
      for (std::int64_t k = 0; k < n; ++k) {
        v[k] = static_cast<T>(mu * static_cast<double>(v[k]) + factor * static_cast<double>(g[k]));
      }
    }
  });
}

void climb(const Victim& victim, const PgdOptions& options, double alpha, Front front,
           LowestMargin& best) {
  for (std::int64_t step = 0;; ++step) {
    Tensor gradient;
    {
      Look look(victim, front.y);
      best.offer(front.rows, front.y, look.logits());
      if (step == options.steps) return;
      const AttackLoss loss =
          attack_loss(options.objective, look.logits(), front.part.labels, front.targets);
      gradient = look.gradient(loss.seed);
    }
    if (options.momentum > 0) {
      if (!front.velocity) front.velocity = Tensor::zeros(front.y.shape(), front.y.dtype());
      add_momentum(front.velocity, gradient, options.momentum);
      gradient = front.velocity;
    }
    const std::vector<double> steps(front.rows.size(), alpha);
    ascend(options.norm, gradient, steps, front.y, front.part.rngs);
    project(ball_of(front.part, options.norm), front.part.x, front.y);
    front.shrink(best);
    if (front.rows.empty()) return;
  }
}

}  // namespace

Pgd::Pgd(const PgdOptions& options) : options_(options) {
  require<ValueError>(options.steps >= 1, "pgd: expected steps >= 1, got ", options.steps);
  require<ValueError>(options.restarts >= 1, "pgd: expected restarts >= 1, got ", options.restarts);
  require<ValueError>(!options.alpha || (std::isfinite(*options.alpha) && *options.alpha > 0),
                      "pgd: expected alpha > 0, got ", options.alpha.value_or(0));
  require<ValueError>(0 <= options.momentum && options.momentum <= 1,
                      "pgd: expected a momentum in [0, 1], got ", options.momentum);
}

Tensor Pgd::search(const Victim& victim, const AttackTask& task) const {
  require<ValueError>(std::isfinite(task.eps), "pgd: expected a finite eps, got ", task.eps);
  const double alpha = options_.alpha.value_or(task.eps / 10);
  const Tensor clean = victim.logits(task.x);
  LowestMargin best(task, clean, options_.early_stop);
  for (std::int64_t r = 0; r < options_.restarts; ++r) {
    const std::vector<std::int64_t> rows = best.unbroken();
    if (rows.empty()) break;
    const std::vector<std::int32_t> targets = targets_of(options_.target, clean, task.labels, r);
    Front front{rows, part_of(task, rows), gathered(targets, rows), {}, {}};
    front.part.rngs = streams(front.part.rngs, static_cast<std::uint64_t>(r));
    front.y = options_.random_start
                  ? random_start(ball_of(task, options_.norm), front.part.x, front.part.rngs)
                  : front.part.x.clone();
    climb(victim, options_, alpha, std::move(front), best);
  }
  return best.x();
}

}  // namespace isotape
