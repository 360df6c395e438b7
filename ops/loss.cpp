#include <isotape/ops/loss.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/elementwise.hpp>

namespace isotape {
namespace {

const Op softmax_cross_entropy_op("softmax_cross_entropy");
const Op multi_margin_op("multi_margin");

constexpr std::int64_t grain = 1 << 13;

using Labels = std::span<const std::int32_t>;

void check(const Op& op, const Tensor& logits, Labels labels) {
  require<ShapeError>(logits.rank() == 2 && logits.dim(0) >= 1 && logits.dim(1) >= 1, op.name(),
                      ": expected logits of shape [N, C] with N and C >= 1, got ", logits.shape());
  const std::int64_t classes = logits.dim(1);
  require<ShapeError>(static_cast<std::int64_t>(labels.size()) == logits.dim(0), op.name(),
                      ": expected a label for each of ", logits.dim(0), " rows, got ",
                      labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    require<ValueError>(0 <= labels[i] && labels[i] < classes, op.name(),
                        ": expected labels in 0..", classes - 1, ", got ", labels[i], " at row ",
                        i);
  }
}

// The mean over the rows of row(f, y, grad), which returns the loss of a row of logits f and sets
// grad to `unit` times its gradient where grad is not null. dL/dlogits is cheap once the loss is
// there, and so it is kept, instead of the logits.
template <class Row>
Var mean_over_rows(const Op& op, const Var& logits_var, Labels labels, const Row& row) {
  const Tensor& logits = logits_var.value();
  check(op, logits, labels);
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

}  // namespace

Var softmax_cross_entropy(const Var& logits, Labels labels) {
  // With p = softmax(f):   grad = p - e_y
  const auto row = []<class T>(const T* f, std::int64_t classes, std::int32_t y, T unit, T* grad) {
    const T largest = *std::max_element(f, f + classes);
    double sum = 0;
    for (std::int64_t j = 0; j < classes; ++j) {
      const T e = std::exp(f[j] - largest);
      if (grad != nullptr) grad[j] = e;
      sum += static_cast<double>(e);
    }
    if (grad != nullptr) {
      const T factor = static_cast<T>(static_cast<double>(unit) / sum);
      for (std::int64_t j = 0; j < classes; ++j) grad[j] *= factor;
      grad[y] -= unit;
    }
    return std::log(sum) + static_cast<double>(largest - f[y]);
  };
  return mean_over_rows(softmax_cross_entropy_op, logits, labels, row);
}

Var multi_margin(const Var& logits, Labels labels, double margin) {
  require<ValueError>(std::isfinite(margin) && margin >= 0,
                      "multi_margin: expected a finite margin >= 0, got ", margin);

  // With z_j = margin - f_y + f_j:   grad_j = [z_j > 0] / C for j != y,   grad_y = -sum of these
  const auto row = [margin]<class T>(const T* f, std::int64_t classes, std::int32_t y, T unit,
                                     T* grad) {
    const T slope = unit / static_cast<T>(classes);
    double sum = 0;
    T total = 0;
    for (std::int64_t j = 0; j < classes; ++j) {
      const T z = static_cast<T>(margin) - f[y] + f[j];
      const bool inactive = j == y || z <= 0;
      if (!inactive) sum += static_cast<double>(z);  // a NaN counts
      if (grad == nullptr) continue;
      grad[j] = inactive ? T{0} : z > 0 ? slope : z;
      total += grad[j];
    }
    if (grad != nullptr) grad[y] = -total;
    return sum / static_cast<double>(classes);
  };
  return mean_over_rows(multi_margin_op, logits, labels, row);
}

}  // namespace isotape
