#pragma once

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reshape.hpp>
#include <isotape/optim/attack.hpp>
#include <isotape/optim/attack_loss.hpp>

// A linear classifier of images, whose exact radii are known: what an attack proves its strength
// on.
class LinearVictim {
 public:
  // Weights are normal, larger for later classes, so that the nearest class is not always the
  // runner-up; or `smooth`: each class likes one side of the image, by a slope.
  LinearVictim(std::int64_t classes, const isotape::Shape& image, isotape::DType dtype,
               std::uint64_t seed, bool smooth = false)
      : image_(image), rng_(seed) {
    weight_ = isotape::random_normal(rng_, {classes, image.size()}, 1, isotape::DType::f64);
    auto* w = weight_.write<double>();
    for (std::int64_t j = 0; j < classes; ++j) {
      const auto of_class = static_cast<double>(j);
      for (std::int64_t k = 0; k < image.size(); ++k, ++w) {
        const double at = static_cast<double>(k) / static_cast<double>(image.size());
        *w = smooth ? std::cos(at + of_class) : *w * (1 + 0.5 * of_class);
      }
    }
    weight_ = weight_.to(dtype);
    // The classes meet at 0.5 everywhere, in the middle of the images: radii are small.
    const isotape::Tensor middle = isotape::Tensor::full({image.size(), 1}, -0.5, dtype);
    bias_ = isotape::matmul(weight_, middle).value().reshaped({classes});
  }

  isotape::Victim victim() const {
    return isotape::Victim([this](const isotape::Var& x) {
      return isotape::affine(isotape::reshape(x, {x.dim(0), image_.size()}), weight_, bias_);
    });
  }

  // Images with entries in [low, high], labelled as they are classified: of four times as many
  // those that lie furthest from the border, so that ratios to their radii mean something.
  isotape::AttackTask task(std::int64_t images, double low, double high,
                           isotape::PixelRange range = {}) {
    isotape::AttackTask task;
    std::vector<std::int64_t> extents{4 * images};
    extents.insert(extents.end(), image_.begin(), image_.end());
    task.x = isotape::random_uniform(rng_, isotape::Shape(extents), low, high, weight_.dtype());
    task.labels = isotape::predicted(victim().logits(task.x));
    task.range = range;
    task.eps = 1;
    std::vector<std::pair<double, std::int64_t>> by_radius;
    for (std::int64_t i = 0; i < 4 * images; ++i) {
      task.rngs.push_back(rng_.stream(static_cast<std::uint64_t>(i)));
      by_radius.emplace_back(-radius(task, i, isotape::BallNorm::l2), i);
    }
    std::sort(by_radius.begin(), by_radius.end());
    std::vector<std::int64_t> rows;
    for (std::int64_t i = 0; i < images; ++i) rows.push_back(by_radius[i].second);
    return isotape::part_of(task, rows);
  }

  // Distance of an image from the nearest input of another class within a range of pixels: to the
  // nearest point of {z : (w_j - w_y).z + b_j - b_y >= 0} in the box, clamp(x + lambda w), or
  // x + eps sign(w) clamped.
  double radius(const isotape::AttackTask& task, std::int64_t row, isotape::BallNorm norm) const {
    double least = std::numeric_limits<double>::infinity();
    for (std::int64_t j = 0; j < weight_.dim(0); ++j) {
      if (j != task.labels[static_cast<std::size_t>(row)]) {
        least = std::min(least, distance(task, row, j, norm));
      }
    }
    return least;
  }

 private:
  double distance(const isotape::AttackTask& task, std::int64_t row, std::int64_t j,
                  isotape::BallNorm norm) const {
    const std::int64_t n = image_.size();
    const std::int64_t y = task.labels[static_cast<std::size_t>(row)];
    double size = 0;
    const auto gain = [&](double lambda) {
      double lead = bias_.at(j) - bias_.at(y);
      size = 0;
      for (std::int64_t k = 0; k < n; ++k) {
        const double w = weight_.at(j * n + k) - weight_.at(y * n + k);
        const double x = task.x.at(row * n + k);
        const double step = norm == isotape::BallNorm::l2 ? lambda * w : std::copysign(lambda, w);
        const double z = std::clamp(x + step, task.range.low, task.range.high);
        lead += w * z;
        size = norm == isotape::BallNorm::l2 ? size + (z - x) * (z - x)
                                             : std::max(size, std::abs(z - x));
      }
      if (norm == isotape::BallNorm::l2) size = std::sqrt(size);
      return lead;
    };
    double low = 0;
    double high = 1e6;
    if (gain(high) < 0) return std::numeric_limits<double>::infinity();
    for (int i = 0; i < 200; ++i) {
      const double middle = (low + high) / 2;
      (gain(middle) < 0 ? low : high) = middle;
    }
    gain(high);
    return size;
  }

  isotape::Shape image_;
  isotape::Rng rng_;
  isotape::Tensor weight_;
  isotape::Tensor bias_;
};

// Part of the images that an attack breaks within `factor` times their exact radius.
inline double broken_at(const isotape::Attack& attack, const LinearVictim& linear,
                        const isotape::AttackTask& task, double factor) {
  double broken = 0;
  for (std::int64_t row = 0; row < task.x.dim(0); ++row) {
    const std::int64_t rows[] = {row};
    isotape::AttackTask one = isotape::part_of(task, rows);
    one.eps = factor * linear.radius(task, row, attack.norm());
    const isotape::AttackResult result = attack.run(linear.victim(), one);
    const double far = attack.norm() == isotape::BallNorm::l2 ? result.l2[0] : result.linf[0];
    CHECK(far <= one.eps);
    broken += result.success[0];
  }
  return broken / static_cast<double>(task.x.dim(0));
}

// The largest ratio of the distances that an attack finds to the exact radii, which none is below.
inline double worst_ratio(const isotape::Attack& attack, const LinearVictim& linear,
                          const isotape::AttackTask& task) {
  double worst = 0;
  const isotape::AttackResult result = attack.run(linear.victim(), task);
  for (std::size_t i = 0; i < task.labels.size(); ++i) {
    CHECK(result.success[i] == 1);
    const double far = attack.norm() == isotape::BallNorm::l2 ? result.l2[i] : result.linf[i];
    const double ratio = far / linear.radius(task, static_cast<std::int64_t>(i), attack.norm());
    CHECK(ratio >= 1 - 1e-5);
    worst = std::max(worst, ratio);
  }
  return worst;
}
