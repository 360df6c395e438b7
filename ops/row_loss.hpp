#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>

#include <isotape/core/error.hpp>
#include <isotape/core/tape.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/elementwise.hpp>

namespace isotape {

// What the losses of a classifier share: each is a mean over the rows of a batch of logits.

using Labels = std::span<const std::int32_t>;

/// @throws ShapeError  unless logits are [N, C] with N and C >= 1 and there are N labels
/// @throws ValueError  if a label is not in 0..max(C, least_classes)-1
inline void check_rows(const Op& op, const Tensor& logits, Labels labels,
                       std::int64_t least_classes = 1) {
  require<ShapeError>(logits.rank() == 2 && logits.dim(0) >= 1 && logits.dim(1) >= 1, op.name(),
                      ": expected logits of shape [N, C] with N and C >= 1, got ", logits.shape());
  const std::int64_t classes = std::max(logits.dim(1), least_classes);
  require<ShapeError>(static_cast<std::int64_t>(labels.size()) == logits.dim(0), op.name(),
                      ": expected a label for each of ", logits.dim(0), " rows, got ",
                      labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    require<ValueError>(0 <= labels[i] && labels[i] < classes, op.name(),
                        ": expected labels in 0..", classes - 1, ", got ", labels[i], " at row ",
                        i);
  }
}

/// The mean over the rows of row(f, classes, y, unit, grad), which returns the loss of a row of
/// logits f and sets grad to `unit` times its gradient where grad is not null. A row whose loss is
/// NaN has the gradient NaN. dL/dlogits is cheap once the loss is there, and so it is kept, instead
/// of the logits. The caller has checked the shapes.
template <class Row>
Var mean_over_rows(const Op& op, const Var& logits_var, Labels labels, const Row& row) {
  constexpr std::int64_t grain = 1 << 13;
  const Tensor& logits = logits_var.value();
  const std::int64_t rows = logits.dim(0);
  const std::int64_t classes = logits.dim(1);
  Tensor grad = is_recording({logits_var}) ? Tensor(logits.shape(), logits.dtype()) : Tensor();
  Tensor losses({rows}, DType::f64);
  dispatch_float(logits.dtype(), op.name(), [&]<class T>() {
    const T* f = logits.data<T>();
    T* gradient = grad ? grad.write<T>() : nullptr;
    auto* loss = losses.write<double>();
    const T unit = T{1} / static_cast<T>(rows);
    parallel_for(rows, grain / classes + 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        T* g = gradient == nullptr ? nullptr : gradient + i * classes;
        loss[i] = row(f + i * classes, classes, labels[i], unit, g);
        if (g != nullptr && std::isnan(loss[i])) std::fill(g, g + classes, static_cast<T>(loss[i]));
      }
    });
  });
  const std::span<const double> all = losses.values<double>();
  const double mean = std::accumulate(all.begin(), all.end(), 0.0) / static_cast<double>(rows);

  auto vjp = [grad](const Tensor& dy, Needs) -> Grads<1> {
    return {scale(grad, dy.item()).value()};
  };
  auto jvp = [grad](const Tangents<1>& dx) {
    return Tensor::full({}, dot(grad, dx[0]), grad.dtype());
  };
  return record(op, Tensor::full({}, mean, logits.dtype()), {logits_var}, {}, std::move(vjp),
                std::move(jvp));
}

/// A softmax over a row without overflow: p_j = exp((f_j - shift_j - largest) / temperature) / sum,
/// shift_j = offset for j = y, else 0. All in f64. NaN in the row makes sum NaN.
class RowSoftmax {
 public:
  template <class T>
  RowSoftmax(const T* f, std::int64_t classes, std::int32_t y, double temperature, double offset)
      : y_(y), temperature_(temperature), offset_(offset) {
    largest_ = -std::numeric_limits<double>::infinity();
    for (std::int64_t j = 0; j < classes; ++j) largest_ = std::max(largest_, shifted(f, j));
    for (std::int64_t j = 0; j < classes; ++j) {
      (j == y_ ? own_ : others_) += std::exp((shifted(f, j) - largest_) / temperature_);
    }
    // Of a class that leads by far, log(1 + others) keeps the digits that log(sum) loses.
    loss_ = own_ == 1 ? std::log1p(others_)
                      : std::log(own_ + others_) + (largest_ - shifted(f, y_)) / temperature_;
  }
  /// -log p_y.
  double cross_entropy() const { return loss_; }
  /// 1 - p_y, without cancellation.
  double rest() const { return others_ / (own_ + others_); }
  template <class T>
  double probability(const T* f, std::int64_t j) const {
    return std::exp((shifted(f, j) - largest_) / temperature_) / (own_ + others_);
  }

 private:
  template <class T>
  double shifted(const T* f, std::int64_t j) const {
    return static_cast<double>(f[j]) - (j == y_ ? offset_ : 0);
  }
  std::int64_t y_;
  double temperature_;
  double offset_;
  double largest_ = 0;
  double own_ = 0;
  double others_ = 0;
  double loss_ = 0;
};

}  // namespace isotape
