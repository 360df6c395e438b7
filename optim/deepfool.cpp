#include <isotape/optim/deepfool.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/optim/attack_loss.hpp>
#include <isotape/optim/best_input.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {
namespace {

constexpr double least_step = 1e-4;

// The images whose class has not changed yet.
struct Front {
  std::vector<std::int64_t> rows;  // of the task
  AttackTask part;
  std::vector<std::vector<std::int32_t>> rivals;  // by rank
  Tensor moved;                                   // sum of all steps

  void keep(std::span<const std::int64_t> kept) {
    rows = gathered(rows, kept);
    part = part_of(part, kept);
    for (auto& rank : rivals) rank = gathered(rank, kept);
    moved = gather_rows(moved, kept);
  }
};

// For each row the step over the nearest of the planes that were looked at.
class NearestPlane {
 public:
  NearestPlane(BallNorm norm, const Tensor& like)
      : norm_(norm),
        length_(static_cast<std::size_t>(like.dim(0)), infinity),
        step_(like.clone()) {}

  // @param lead  f_y - f_j by row, >= 0; slope its gradient with the sign of f_j - f_y
  void offer(const std::vector<double>& lead, const Tensor& slope) {
    const std::int64_t n = slope.size() / slope.dim(0);
    dispatch_float(slope.dtype(), "deepfool", [&]<class T>() {
      T* steps = step_.write<T>();
      for (std::size_t i = 0; i < lead.size(); ++i) {
        const T* w = slope.data<T>() + static_cast<std::int64_t>(i) * n;
        double size = 0;  // |w|_2^2 or |w|_1
        for (std::int64_t k = 0; k < n; ++k) {
          const auto entry = static_cast<double>(w[k]);
          size += norm_ == BallNorm::l2 ? entry * entry : std::abs(entry);
        }
        const double length = lead[i] / (norm_ == BallNorm::l2 ? std::sqrt(size) : size);
        if (!(size > 0) || !(length < length_[i])) continue;
        length_[i] = length;
        T* step = steps + static_cast<std::int64_t>(i) * n;
        const double far = length + least_step;
        for (std::int64_t k = 0; k < n; ++k) {
          const auto entry = static_cast<double>(w[k]);
          step[k] = static_cast<T>(norm_ == BallNorm::l2
                                       ? far * entry / std::sqrt(size)
                                       : far * (static_cast<double>(entry > 0) - (entry < 0)));
        }
      }
    });
  }

  // Where every slope vanished: a random way, 0.01 per entry.
  Tensor steps(RowRngs& rngs) {
    for (std::size_t i = 0; i < length_.size(); ++i) {
      if (std::isfinite(length_[i])) continue;
      const auto row = static_cast<std::int64_t>(i);
      const std::int64_t one[] = {row};
      Tensor way = Tensor::zeros(step_.shape().with(0, 1), step_.dtype());
      const double far = norm_ == BallNorm::l2 ? std::sqrt(static_cast<double>(way.size())) : 1;
      RowRngs rng = {rngs[i]};
      add_in_place(way, random_directions(norm_, way, rng), 0.01 * far);
      rngs[i] = rng[0];
      put_rows(step_, one, way);
    }
    return step_;
  }

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  BallNorm norm_;
  std::vector<double> length_;
  Tensor step_;
};

Tensor next_steps(Look& look, const DeepFoolOptions& options, Front& front) {
  const Tensor& f = look.logits();
  const std::int64_t classes = f.dim(1);
  NearestPlane nearest(options.norm, front.moved);
  for (const std::vector<std::int32_t>& rivals : front.rivals) {
    Tensor seed = Tensor::zeros(f.shape(), DType::f64);
    auto* s = seed.write<double>();
    std::vector<double> lead(rivals.size());
    for (std::size_t i = 0; i < rivals.size(); ++i) {
      const std::int64_t row = static_cast<std::int64_t>(i) * classes;
      s[row + rivals[i]] = 1;
      s[row + front.part.labels[i]] = -1;
      lead[i] = std::abs(f.at(row + front.part.labels[i]) - f.at(row + rivals[i]));
    }
    nearest.offer(lead, look.gradient(seed));
  }
  return nearest.steps(front.part.rngs);
}

}  // namespace

DeepFool::DeepFool(const DeepFoolOptions& options) : options_(options) {
  require<ValueError>(options.steps >= 1, "deepfool: expected steps >= 1, got ", options.steps);
  require<ValueError>(options.candidates >= 1, "deepfool: expected candidates >= 1, got ",
                      options.candidates);
  require<ValueError>(std::isfinite(options.overshoot) && options.overshoot >= 0,
                      "deepfool: expected overshoot >= 0, got ", options.overshoot);
  require<ValueError>(options.refine >= 0, "deepfool: expected refine >= 0, got ", options.refine);
}

Tensor DeepFool::search(const Victim& victim, const AttackTask& task) const {
  NearestWrong best(task, options_.norm);
  const Tensor clean = victim.logits(task.x);
  Front front{all_rows(task.x.dim(0)), task, {}, Tensor::zeros(task.x.shape(), task.x.dtype())};
  const std::int64_t ranks = std::min(options_.candidates, clean.dim(1) - 1);
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    front.rivals.push_back(ranked_class(clean, task.labels, rank));
  }
  for (std::int64_t step = 0; step <= options_.steps && !front.rows.empty(); ++step) {
    Tensor y = front.part.x.clone();
    add_in_place(y, front.moved, 1 + options_.overshoot);
    clip(task.range, y);
    Look look(victim, y);
    const std::vector<std::uint8_t> wrong = best.offer(front.rows, y, look.logits());
    if (step < options_.steps) add_in_place(front.moved, next_steps(look, options_, front));
    std::vector<std::int64_t> kept;
    for (std::size_t i = 0; i < wrong.size(); ++i) {
      if (wrong[i] == 0) kept.push_back(static_cast<std::int64_t>(i));
    }
    if (kept.size() < wrong.size()) front.keep(kept);
  }
  best.refine(victim, options_.refine);
  return best.x();
}

}  // namespace isotape
