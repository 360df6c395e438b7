#include <isotape/ops/cross_entropy.hpp>

#include <cmath>
#include <numbers>

#include <isotape/ops/row_loss.hpp>

namespace isotape {
namespace {

const Op tempered_cross_entropy_op("tempered_cross_entropy");
const Op logit_annealing_op("logit_annealing");
const Op certificate_regularized_op("certificate_regularized");

void check_softmax(const Op& op, double temperature, double offset) {
  require<ValueError>(std::isfinite(temperature) && temperature > 0, op.name(),
                      ": expected a finite temperature > 0, got ", temperature);
  require<ValueError>(std::isfinite(offset) && offset >= 0, op.name(),
                      ": expected a finite offset >= 0, got ", offset);
}

// The runner-up to y, the first of equals; a NaN is the largest of all.
template <class T>
std::int64_t runner_up(const T* f, std::int64_t classes, std::int32_t y) {
  std::int64_t best = y == 0 ? 1 : 0;
  for (std::int64_t j = best + 1; j < classes; ++j) {
    if (j != y && (f[j] > f[best] || std::isnan(f[j]))) best = j;
  }
  return best;
}

}  // namespace

Var tempered_cross_entropy(const Var& logits, Labels labels, const TemperedOptions& options) {
  check_softmax(tempered_cross_entropy_op, options.temperature, options.offset);
  check_rows(tempered_cross_entropy_op, logits.value(), labels);

  // T d(-log p_y)/df_j = p_j - [j = y]: the temperature cancels. For y it is -(1 - p_y).
  const auto row = [options]<class T>(const T* f, std::int64_t classes, std::int32_t y, T unit,
                                      T* grad) {
    const RowSoftmax softmax(f, classes, y, options.temperature, options.offset);
    for (std::int64_t j = 0; grad != nullptr && j < classes; ++j) {
      grad[j] = static_cast<T>((j == y ? -softmax.rest() : softmax.probability(f, j)) *
                               static_cast<double>(unit));
    }
    return options.temperature * softmax.cross_entropy();
  };
  return mean_over_rows(tempered_cross_entropy_op, logits, labels, row);
}

Var logit_annealing(const Var& logits, Labels labels, const AnnealingOptions& options) {
  check_softmax(logit_annealing_op, options.temperature, options.offset);
  require<ValueError>(std::isfinite(options.beta) && options.beta >= 0,
                      "logit_annealing: expected a finite beta >= 0, got ", options.beta);
  check_rows(logit_annealing_op, logits.value(), labels);

  // With l = -log p_y and p_y = exp(-l):
  //     d/dl [T (1 - p_y)^beta l] = T (1 - p_y)^beta (1 + beta p_y l / (1 - p_y)),
  // where p_y l / (1 - p_y) -> 1 as l -> 0; times T dl/df_j = p_j - [j = y], over T.
  const auto row = [options]<class T>(const T* f, std::int64_t classes, std::int32_t y, T unit,
                                      T* grad) {
    const RowSoftmax softmax(f, classes, y, options.temperature, options.offset);
    const double l = softmax.cross_entropy();
    const double rest = softmax.rest();
    const double annealed = std::pow(rest, options.beta);
    const double ratio = rest == 0 ? 1 : softmax.probability(f, y) * l / rest;
    const double factor = annealed * (1 + options.beta * ratio) * static_cast<double>(unit);
    for (std::int64_t j = 0; grad != nullptr && j < classes; ++j) {
      grad[j] = static_cast<T>((j == y ? -rest : softmax.probability(f, j)) * factor);
    }
    return options.temperature * annealed * l;
  };
  return mean_over_rows(logit_annealing_op, logits, labels, row);
}

Var certificate_regularized(const Var& logits, Labels labels, double gamma) {
  require<ValueError>(std::isfinite(gamma) && gamma >= 0,
                      "certificate_regularized: expected a finite gamma >= 0, got ", gamma);
  check_rows(certificate_regularized_op, logits.value(), labels);
  require<ShapeError>(logits.dim(1) >= 2, "certificate_regularized: expected two classes or more, ",
                      "got logits of shape ", logits.shape());

  // With the runner-up r:   grad_j = p_j - [j = y] - gamma / sqrt(2) [f_y > f_r] ([j = y] - [j =
  // r])
  const double slope = gamma / std::numbers::sqrt2;
  const auto row = [slope]<class T>(const T* f, std::int64_t classes, std::int32_t y, T unit,
                                    T* grad) {
    const RowSoftmax softmax(f, classes, y, 1, 0);
    const std::int64_t r = runner_up(f, classes, y);
    const double margin = static_cast<double>(f[y]) - static_cast<double>(f[r]);
    const double pull = margin > 0 ? slope : 0;
    for (std::int64_t j = 0; grad != nullptr && j < classes; ++j) {
      const double of_margin = j == y ? -pull : j == r ? pull : 0;
      grad[j] =
          static_cast<T>(((j == y ? -softmax.rest() : softmax.probability(f, j)) + of_margin) *
                         static_cast<double>(unit));
    }
    return softmax.cross_entropy() - pull * margin;
  };
  return mean_over_rows(certificate_regularized_op, logits, labels, row);
}

}  // namespace isotape
