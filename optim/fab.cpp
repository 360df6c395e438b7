#include <isotape/optim/fab.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/optim/attack_loss.hpp>
#include <isotape/optim/best_input.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {
namespace {

using Row = std::vector<double>;

Row row_of(const Tensor& x, std::int64_t row) {
  const std::int64_t n = x.size() / x.dim(0);
  Row all(static_cast<std::size_t>(n));
  dispatch_float(x.dtype(), "fab", [&]<class T>() {
    const T* from = x.data<T>() + row * n;
    for (std::int64_t k = 0; k < n; ++k) all[k] = static_cast<double>(from[k]);
  });
  return all;
}

double dot(const Row& a, const Row& b) {
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}

// y and its value f_t - f_y, w the gradient of that: the new y.
Row stepped(const Row& x, const Row& y, const Row& w, double value, const PixelRange& range,
            const FabOptions& options) {
  double at_image = value;  // of the linear model: value + w . (x - y)
  for (std::size_t k = 0; k < x.size(); ++k) at_image += w[k] * (x[k] - y[k]);
  const Row from_y = nearest_on_plane(y, w, value, range);
  const Row from_x = nearest_on_plane(x, w, at_image, range);
  const double size_y = std::sqrt(dot(from_y, from_y));
  const double size_x = std::sqrt(dot(from_x, from_x));
  const double both = size_y + size_x;
  const double a = both > 0 ? std::min(size_y / both, options.alpha_max) : 0;
  Row next(x.size());
  for (std::size_t k = 0; k < x.size(); ++k) {
    next[k] = std::clamp(
        (1 - a) * (y[k] + options.eta * from_y[k]) + a * (x[k] + options.eta * from_x[k]),
        range.low, range.high);
  }
  return next;
}

Row nudged(const Row& y, const PixelRange& range, Rng& rng) {
  Row next(y.size());
  for (std::size_t k = 0; k < y.size(); ++k) {
    next[k] = std::clamp(y[k] + 0.01 * rng.normal(), range.low, range.high);
  }
  return next;
}

void step(const Victim& victim, const FabOptions& options, const AttackTask& task,
          const std::vector<std::int32_t>& targets, RowRngs& rngs, Tensor& y) {
  Look look(victim, y);
  const AttackLoss lead = attack_loss(AttackObjective::margin, look.logits(), task.labels, targets);
  const Tensor gradient = look.gradient(lead.seed);
  Tensor next(y.shape(), y.dtype());
  const std::int64_t n = y.size() / y.dim(0);
  dispatch_float(y.dtype(), "fab", [&]<class T>() {
    T* to = next.write<T>();
    parallel_for(y.dim(0), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const Row at = row_of(y, i);
        const Row w = row_of(gradient, i);
        const Row moved =
            dot(w, w) > 0 ? stepped(row_of(task.x, i), at, w, lead.value[i], task.range, options)
                          : nudged(at, task.range, rngs[i]);
        std::transform(moved.begin(), moved.end(), to + i * n,
                       [](double entry) { return static_cast<T>(entry); });
      }
    });
  });
  clip(task.range, next);
  y = next;
}

// y <- (1 - beta) x + beta y where the class has changed.
void go_back(const AttackTask& task, const std::vector<std::uint8_t>& wrong, double beta,
             Tensor& y) {
  const std::vector<std::int64_t> rows = rows_where(wrong);
  if (rows.empty()) return;
  const Tensor x = gather_rows(task.x, rows);
  Tensor back = Tensor::zeros(x.shape(), x.dtype());
  add_in_place(back, x, 1 - beta);
  add_in_place(back, gather_rows(y, rows), beta);
  clip(task.range, back);
  put_rows(y, rows, back);
}

}  // namespace

// z = clip(p - s lambda w), s the sign of value, with lambda >= 0 such that |w . (z - p)| =
// |value|: where the border of the range stops an entry short, the others must go further. More and
// more are stopped, until none is added.
std::vector<double> nearest_on_plane(const std::vector<double>& p, const std::vector<double>& w,
                                     double value, const PixelRange& range) {
  const double sign = value > 0 ? 1 : -1;
  const double wanted = std::abs(value);
  const auto room = [&](std::size_t k) {
    return sign * w[k] > 0 ? p[k] - range.low : range.high - p[k];
  };
  double lambda = 0;
  while (true) {
    double stopped = 0;
    double free = 0;
    for (std::size_t k = 0; k < p.size(); ++k) {
      if (w[k] == 0) continue;
      if (lambda > 0 && lambda * std::abs(w[k]) >= room(k))
        stopped += std::abs(w[k]) * room(k);
      else
        free += w[k] * w[k];
    }
    if (!(free > 0)) break;
    const double next = std::max(wanted - stopped, 0.0) / free;
    if (!(next > lambda)) break;
    lambda = next;
  }
  std::vector<double> way(p.size());
  for (std::size_t k = 0; k < p.size(); ++k) {
    const double far = std::min(lambda * std::abs(w[k]), w[k] == 0 ? 0.0 : room(k));
    way[k] = -sign * std::copysign(far, w[k]);
  }
  return way;
}

Fab::Fab(const FabOptions& options) : options_(options) {
  require<ValueError>(options.steps >= 1, "fab: expected steps >= 1, got ", options.steps);
  require<ValueError>(options.targets >= 1, "fab: expected targets >= 1, got ", options.targets);
  require<ValueError>(0 <= options.alpha_max && options.alpha_max <= 1,
                      "fab: expected alpha_max in [0, 1], got ", options.alpha_max);
  require<ValueError>(std::isfinite(options.eta) && options.eta >= 1,
                      "fab: expected eta >= 1, got ", options.eta);
  require<ValueError>(0 < options.beta && options.beta < 1, "fab: expected beta in (0, 1), got ",
                      options.beta);
  require<ValueError>(options.refine >= 0, "fab: expected refine >= 0, got ", options.refine);
}

Tensor Fab::search(const Victim& victim, const AttackTask& task) const {
  const std::vector<std::int64_t> rows = all_rows(task.x.dim(0));
  NearestWrong best(task, BallNorm::l2);
  const Tensor clean = victim.logits(task.x);
  const std::int64_t ranks = std::min(options_.targets, clean.dim(1) - 1);
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    const std::vector<std::int32_t> targets = ranked_class(clean, task.labels, rank);
    RowRngs rngs = streams(task.rngs, static_cast<std::uint64_t>(rank));
    Tensor y = task.x.clone();
    for (std::int64_t k = 0; k < options_.steps; ++k) {
      step(victim, options_, task, targets, rngs, y);
      go_back(task, best.offer(rows, y, victim.logits(y)), options_.beta, y);
    }
  }
  best.refine(victim, options_.refine);
  return best.x();
}

}  // namespace isotape
