#include <isotape/apps/study/max_margin.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/layers/parameter.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/loss.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reduce.hpp>
#include <isotape/optim/adam.hpp>
#include <isotape/optim/schedule.hpp>

namespace isotape {
namespace {

constexpr std::int64_t steps = 400;
constexpr double rate = 0.1;
constexpr double decay = 1e-3;

// x times a factor, in f64.
Tensor scaled(const Tensor& x, double factor) {
  Tensor to = Tensor::zeros(x.shape(), DType::f64);
  add_in_place(to, x.to(DType::f64), factor);
  return to;
}

}  // namespace

MaxMargin fit_max_margin(const Tensor& points, std::span<const std::int32_t> labels,
                         std::int64_t classes, const std::function<void()>& check_interrupt) {
  require<ShapeError>(points.rank() == 2 && points.size() > 0,
                      "max_margin: expected points [n, k], got ", points.shape());
  const double rows = static_cast<double>(points.dim(0));
  const double size = frobenius_norm(points) / std::sqrt(rows);
  const double unit = size > 0 ? 1 / size : 1;
  const Tensor x = scaled(points, unit);
  Parameter weight(Tensor::zeros({classes, points.dim(1)}, DType::f64));
  Parameter bias(Tensor::zeros({classes}, DType::f64));
  Adam adam({{"weight", &weight}, {"bias", &bias}});
  const Schedule schedule(Cosine{}, Every::step);
  for (std::int64_t step = 0; step < steps; ++step) {
    check_interrupt();
    Tape tape;
    const Var w = weight.var();
    const Var hinge = multi_margin(affine(x, w, bias.var()), labels, 1);  // 1 / C of the sum
    const Var squares = sum(square(w));
    tape.backward(add(scale(hinge, static_cast<double>(classes)), scale(squares, decay / 2)));
    adam.step(rate * schedule.factor(step, steps, 1));
  }
  return {scaled(weight.value(), unit), bias.value().clone()};
}

Tensor MaxMargin::logits(const Tensor& points) const {
  const Paused paused;
  return affine(points.to(DType::f64), weight, bias).value();
}

std::vector<double> MaxMargin::distances(const Tensor& points,
                                         std::span<const std::int32_t> labels) const {
  const std::int64_t classes = bias.size();
  const std::int64_t k = weight.dim(1);
  const auto* w = weight.data<double>();
  std::vector<double> between(static_cast<std::size_t>(classes * classes));
  for (std::int64_t i = 0; i < classes; ++i) {
    for (std::int64_t j = 0; j < classes; ++j) {
      double square = 0;
      for (std::int64_t l = 0; l < k; ++l) square += std::pow(w[i * k + l] - w[j * k + l], 2);
      between[static_cast<std::size_t>(i * classes + j)] = std::sqrt(square);
    }
  }
  const Tensor f = logits(points);
  std::vector<double> nearest;
  for (std::int64_t i = 0; i < points.dim(0); ++i) {
    const std::int64_t y = labels[static_cast<std::size_t>(i)];
    double least = std::numeric_limits<double>::infinity();
    for (std::int64_t j = 0; j < classes; ++j) {
      if (j == y) continue;
      const double lead = f.at(i * classes + y) - f.at(i * classes + j);
      least = std::min(least, lead / between[static_cast<std::size_t>(y * classes + j)]);
    }
    nearest.push_back(least);
  }
  return nearest;
}

}  // namespace isotape
