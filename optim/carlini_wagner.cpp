#include <isotape/optim/carlini_wagner.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/optim/attack_loss.hpp>
#include <isotape/optim/best_input.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {
namespace {

constexpr double inside = 0.999999;  // of tanh: border pixels have a finite w

// The variable w that Adam moves, and the input y it stands for, entry by entry in f64.
class Variable {
 public:
  Variable(const AttackTask& task, bool through_tanh)
      : range_(task.range),
        through_tanh_(through_tanh && std::isfinite(task.range.low) &&
                      std::isfinite(task.range.high)) {
    const Tensor x = task.x.to(DType::f64);
    w_.assign(x.values<double>().begin(), x.values<double>().end());
    mean_.assign(w_.size(), 0.0);
    square_.assign(w_.size(), 0.0);
    if (!through_tanh_) return;
    for (double& w : w_) {
      w = std::atanh(inside * (2 * (w - range_.low) / (range_.high - range_.low) - 1));
    }
  }

  Tensor y(const Tensor& like) const {
    Tensor all(like.shape(), DType::f64);
    auto* to = all.write<double>();
    for (std::size_t k = 0; k < w_.size(); ++k) {
      to[k] = through_tanh_ ? range_.low + (range_.high - range_.low) * (std::tanh(w_[k]) + 1) / 2
                            : w_[k];
    }
    Tensor y = all.to(like.dtype());
    if (!y.unique()) y = y.clone();
    clip(range_, y);
    return y;
  }

  // One step of Adam down dL/dy; steps count from 1.
  void descend(const std::vector<double>& slope, double lr, std::int64_t step) {
    constexpr double beta1 = 0.9;
    constexpr double beta2 = 0.999;
    const double unbias1 = 1 - std::pow(beta1, static_cast<double>(step));
    const double unbias2 = 1 - std::pow(beta2, static_cast<double>(step));
    for (std::size_t k = 0; k < w_.size(); ++k) {
      double g = slope[k];
      if (through_tanh_) {
        const double t = std::tanh(w_[k]);
        g *= (range_.high - range_.low) / 2 * (1 - t * t);
      }
      mean_[k] += (1 - beta1) * (g - mean_[k]);
      square_[k] += (1 - beta2) * (g * g - square_[k]);
      w_[k] -= lr * (mean_[k] / unbias1) / (std::sqrt(square_[k] / unbias2) + 1e-12);
      if (!through_tanh_) w_[k] = std::clamp(w_[k], range_.low, range_.high);
    }
  }

 private:
  PixelRange range_;
  bool through_tanh_;
  std::vector<double> w_;
  std::vector<double> mean_;
  std::vector<double> square_;
};

// The search for the least c of each image.
class Weights {
 public:
  Weights(std::size_t rows, double first)
      : low_(rows, 0.0), high_(rows, infinity), c_(rows, first) {}
  double operator[](std::size_t i) const { return c_[i]; }
  void next(const std::vector<std::uint8_t>& succeeded) {
    for (std::size_t i = 0; i < c_.size(); ++i) {
      (succeeded[i] != 0 ? high_ : low_)[i] = c_[i];
      c_[i] = std::isfinite(high_[i]) ? (low_[i] + high_[i]) / 2 : 10 * c_[i];
    }
  }

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> low_;
  std::vector<double> high_;
  std::vector<double> c_;
};

// dL/dy = 2 (y - x) + c d(f_y - f_j)/dy where the hinge is above 0.
std::vector<double> slope_of(Look& look, const AttackTask& task, const Tensor& y, const Weights& c,
                             std::span<const std::int32_t> targets, double kappa) {
  const AttackLoss loss = attack_loss(AttackObjective::margin, look.logits(), task.labels, targets);
  Tensor seed = loss.seed.clone();
  auto* s = seed.write<double>();
  const std::int64_t classes = seed.dim(1);
  for (std::size_t i = 0; i < task.labels.size(); ++i) {
    const double weight = -loss.value[i] + kappa > 0 ? -c[i] : 0;
    for (std::int64_t j = 0; j < classes; ++j)
      s[static_cast<std::int64_t>(i) * classes + j] *= weight;
  }
  const Tensor gradient = look.gradient(seed).to(DType::f64);
  const Tensor x = task.x.to(DType::f64);
  const Tensor at = y.to(DType::f64);
  std::vector<double> slope(static_cast<std::size_t>(y.size()));
  for (std::size_t k = 0; k < slope.size(); ++k) {
    slope[k] = 2 * (at.data<double>()[k] - x.data<double>()[k]) + gradient.data<double>()[k];
  }
  return slope;
}

}  // namespace

CarliniWagner::CarliniWagner(const CarliniWagnerOptions& options) : options_(options) {
  require<ValueError>(options.steps >= 1, "cw: expected steps >= 1, got ", options.steps);
  require<ValueError>(options.rounds >= 1, "cw: expected rounds >= 1, got ", options.rounds);
  require<ValueError>(options.targets >= 0, "cw: expected targets >= 0, got ", options.targets);
  require<ValueError>(std::isfinite(options.c) && options.c > 0, "cw: expected c > 0, got ",
                      options.c);
  require<ValueError>(std::isfinite(options.lr) && options.lr > 0, "cw: expected lr > 0, got ",
                      options.lr);
  require<ValueError>(std::isfinite(options.kappa) && options.kappa >= 0,
                      "cw: expected kappa >= 0, got ", options.kappa);
  require<ValueError>(options.refine >= 0, "cw: expected refine >= 0, got ", options.refine);
}

void CarliniWagner::draw(const Victim& victim, const AttackTask& task,
                         std::span<const std::int32_t> targets, NearestWrong& best) const {
  const std::vector<std::int64_t> rows = all_rows(task.x.dim(0));
  Weights c(rows.size(), options_.c);
  for (std::int64_t round = 0; round < options_.rounds; ++round) {
    Variable variable(task, options_.through_tanh);
    std::vector<std::uint8_t> succeeded(rows.size(), 0);
    for (std::int64_t step = 1;; ++step) {
      const Tensor y = variable.y(task.x);
      Look look(victim, y);
      const std::vector<std::uint8_t> wrong = best.offer(rows, y, look.logits());
      for (std::size_t i = 0; i < wrong.size(); ++i) succeeded[i] |= wrong[i];
      if (step > options_.steps) break;
      const double left = 1 - static_cast<double>(step - 1) / static_cast<double>(options_.steps);
      variable.descend(slope_of(look, task, y, c, targets, options_.kappa), options_.lr * left,
                       step);
    }
    c.next(succeeded);
  }
}

Tensor CarliniWagner::search(const Victim& victim, const AttackTask& task) const {
  NearestWrong best(task, BallNorm::l2);
  const Tensor clean = victim.logits(task.x);
  const std::int64_t ranks = std::min(options_.targets, clean.dim(1) - 1);
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    draw(victim, task, ranked_class(clean, task.labels, rank), best);
  }
  if (ranks == 0) draw(victim, task, targets_of({}, clean, task.labels), best);
  best.refine(victim, options_.refine);
  return best.x();
}

}  // namespace isotape
