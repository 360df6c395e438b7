#include <isotape/optim/boundary.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/optim/attack_loss.hpp>
#include <isotape/optim/best_input.hpp>
#include <isotape/optim/far_start.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {
namespace {

constexpr double growth = 1.5;
constexpr double least_source_step = 1e-7;
constexpr std::int64_t steps_between_looks = 5;  // at points on the sphere

// A step length that follows the share of its last successes.
class StepLength {
 public:
  StepLength(double value, int window, double low, double high)
      : value_(value), window_(window), low_(low), high_(high) {}
  double value() const { return value_; }
  void note(bool succeeded) {
    successes_ += succeeded ? 1 : 0;
    if (++count_ < window_) return;
    const double share = static_cast<double>(successes_) / count_;
    if (share > high_) value_ *= growth;
    if (share < low_) value_ /= growth;
    successes_ = count_ = 0;
  }

 private:
  double value_;
  int window_;
  double low_;
  double high_;
  int successes_ = 0;
  int count_ = 0;
};

struct Walker {
  std::int64_t row;
  Rng rng;
  StepLength spherical;
  StepLength source;
};

// Points for one image: on the sphere, and nearer to the image.
template <class T>
void propose(const T* x, const T* y, std::int64_t n, Walker& walker, T* on_sphere, T* nearer) {
  std::vector<double> way(static_cast<std::size_t>(n));  // from the image to y
  std::vector<double> side(static_cast<std::size_t>(n));
  double square = 0;
  double along = 0;
  for (std::int64_t k = 0; k < n; ++k) {
    way[k] = static_cast<double>(y[k]) - static_cast<double>(x[k]);
    side[k] = walker.rng.normal();
    square += way[k] * way[k];
    along += way[k] * side[k];
  }
  const double far = std::sqrt(square);
  double size = 0;
  for (std::int64_t k = 0; k < n; ++k) {
    side[k] -= along / square * way[k];
    size += side[k] * side[k];
  }
  // side becomes spherical_step D long and orthogonal to way: their sum is sqrt(1 + step^2) D long.
  const double step = walker.spherical.value();
  const double scale = size > 0 ? step * far / std::sqrt(size) : 0;
  const double back = 1 / std::sqrt(1 + step * step);
  for (std::int64_t k = 0; k < n; ++k) {
    const double point = (way[k] + scale * side[k]) * back;
    on_sphere[k] = static_cast<T>(static_cast<double>(x[k]) + point);
    nearer[k] = static_cast<T>(static_cast<double>(x[k]) + (1 - walker.source.value()) * point);
  }
}

}  // namespace

Boundary::Boundary(const BoundaryOptions& options) : options_(options) {
  require<ValueError>(options.steps >= 1, "boundary: expected steps >= 1, got ", options.steps);
  require<ValueError>(std::isfinite(options.spherical_step) && options.spherical_step > 0,
                      "boundary: expected spherical_step > 0, got ", options.spherical_step);
  require<ValueError>(options.source_step > 0 && options.source_step < 1,
                      "boundary: expected source_step in (0, 1), got ", options.source_step);
  require<ValueError>(options.refine >= 0, "boundary: expected refine >= 0, got ", options.refine);
}

Tensor Boundary::search(const Victim& victim, const AttackTask& task) const {
  NearestWrong best(task, BallNorm::l2);
  RowRngs rngs = task.rngs;
  offer_far_starts(victim, task, rngs, best);
  best.refine(victim, options_.refine);
  std::vector<Walker> walkers;
  for (const std::int64_t row : best.found()) {
    walkers.push_back({row, rngs[static_cast<std::size_t>(row)],
                       StepLength(options_.spherical_step, 20, 0.2, 0.5),
                       StepLength(options_.source_step, 30, 0.1, 0.25)});
  }
  const std::int64_t n = task.x.size() / task.x.dim(0);
  for (std::int64_t step = 0; step < options_.steps && !walkers.empty(); ++step) {
    std::vector<std::int64_t> rows(walkers.size());
    std::transform(walkers.begin(), walkers.end(), rows.begin(),
                   [](const Walker& walker) { return walker.row; });
    const Tensor x = gather_rows(task.x, rows);
    const Tensor y = gather_rows(best.x(), rows);
    Tensor on_sphere(x.shape(), x.dtype());
    Tensor nearer(x.shape(), x.dtype());
    dispatch_float(x.dtype(), "boundary", [&]<class T>() {
      T* sphere = on_sphere.write<T>();
      T* near = nearer.write<T>();
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const std::int64_t at = static_cast<std::int64_t>(i) * n;
        propose(x.data<T>() + at, y.data<T>() + at, n, walkers[i], sphere + at, near + at);
      }
    });
    clip(task.range, on_sphere);
    clip(task.range, nearer);
    if (step % steps_between_looks == 0) {
      const auto wrong = misclassified(victim.logits(on_sphere), gathered(task.labels, rows));
      for (std::size_t i = 0; i < rows.size(); ++i) walkers[i].spherical.note(wrong[i] != 0);
    }
    const auto wrong = best.offer(rows, nearer, victim.logits(nearer));
    for (std::size_t i = 0; i < rows.size(); ++i) walkers[i].source.note(wrong[i] != 0);
    std::erase_if(walkers,
                  [](const Walker& walker) { return walker.source.value() < least_source_step; });
  }
  best.refine(victim, options_.refine);
  return best.x();
}

}  // namespace isotape
