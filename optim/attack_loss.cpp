#include <isotape/optim/attack_loss.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <isotape/core/error.hpp>
#include <isotape/ops/row_loss.hpp>

namespace isotape {
namespace {

using Labels = std::span<const std::int32_t>;

// One row of logits, and where its loss and gradient go; grad starts as zeros.
struct Row {
  const double* f;
  std::int64_t classes;
  std::int32_t label;
  std::int32_t target;  // no_target, or another class than the label
  double* grad;
};

std::int32_t runner_up(const Row& row) {
  std::int32_t best = row.label == 0 ? 1 : 0;
  for (std::int32_t j = 0; j < row.classes; ++j) {
    if (j != row.label && row.f[j] > row.f[best]) best = j;
  }
  return best;
}

double margin(const Row& row) {
  const std::int32_t rival = row.target == no_target ? runner_up(row) : row.target;
  row.grad[rival] += 1;
  row.grad[row.label] -= 1;
  return row.f[rival] - row.f[row.label];
}

// d(-log p_c)/df = p - e_c, where p_c - 1 is minus the sum of the others: without cancellation.
double cross_entropy(const Row& row) {
  const bool is_targeted = row.target != no_target;
  const std::int32_t c = is_targeted ? row.target : row.label;
  const double sign = is_targeted ? -1 : 1;
  const RowSoftmax softmax(row.f, row.classes, c, 1.0, 0.0);
  for (std::int32_t j = 0; j < row.classes; ++j) {
    row.grad[j] = sign * (j == c ? -softmax.rest() : softmax.probability(row.f, j));
  }
  return sign * softmax.cross_entropy();
}

// L = a / b with a = f_rival - f_y: dL = (da - L db) / b. Where b is 0 all leading logits agree,
// and da alone tells the way.
double dlr(const Row& row) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(row.classes));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int32_t i, std::int32_t j) { return row.f[i] > row.f[j]; });
  const double a = margin(row);
  const bool is_targeted = row.target != no_target;
  const double last = is_targeted ? (row.f[order[2]] + row.f[order[3]]) / 2 : row.f[order[2]];
  const double b = row.f[order[0]] - last;
  if (!(b > 0)) return 0;
  const double value = a / b;
  row.grad[order[0]] -= value;
  row.grad[order[2]] += is_targeted ? value / 2 : value;
  if (is_targeted) row.grad[order[3]] += value / 2;
  return value;
}

void scale_to_one(double* grad, std::int64_t classes) {
  double largest = 0;
  for (std::int64_t j = 0; j < classes; ++j) largest = std::max(largest, std::abs(grad[j]));
  if (largest == 0) return;
  for (std::int64_t j = 0; j < classes; ++j) grad[j] /= largest;
}

void check(const Tensor& logits, Labels labels) {
  require<ShapeError>(logits.rank() == 2 && logits.dim(1) >= 2 &&
                          logits.dim(0) == static_cast<std::int64_t>(labels.size()),
                      "attack_loss: expected logits of shape [", labels.size(),
                      ", C] with C >= 2, got ", logits.shape());
  for (const std::int32_t label : labels) {
    require<ValueError>(0 <= label && label < logits.dim(1), "attack_loss: expected labels in 0..",
                        logits.dim(1) - 1, ", got ", label);
  }
}

}  // namespace

AttackLoss attack_loss(AttackObjective objective, const Tensor& logits, Labels labels,
                       Labels targets) {
  check(logits, labels);
  require<ShapeError>(labels.size() == targets.size(), "attack_loss: expected ", labels.size(),
                      " targets, got ", targets.size());
  const std::int64_t classes = logits.dim(1);
  AttackLoss loss{std::vector<double>(labels.size()), Tensor::zeros(logits.shape(), DType::f64)};
  auto* seed = loss.seed.write<double>();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::int32_t target = targets[i] == labels[i] ? no_target : targets[i];
    require<ValueError>(no_target <= target && target < classes,
                        "attack_loss: expected targets in 0..", classes - 1, ", got ", target);
    double* grad = seed + static_cast<std::int64_t>(i) * classes;
    const Row row{logits.data<double>() + static_cast<std::int64_t>(i) * classes, classes,
                  labels[i], target, grad};
    if (objective == AttackObjective::dlr) {
      const std::int64_t least = target == no_target ? 3 : 4;
      require<ValueError>(classes >= least, "attack_loss: expected at least ", least,
                          " classes for dlr", target == no_target ? "" : " with a target", ", got ",
                          classes);
      loss.value[i] = dlr(row);
    } else {
      loss.value[i] = objective == AttackObjective::margin ? margin(row) : cross_entropy(row);
    }
    scale_to_one(grad, classes);
  }
  return loss;
}

std::vector<std::int32_t> targets_of(const AttackTarget& target, const Tensor& clean, Labels labels,
                                     std::int64_t restart) {
  check(clean, labels);
  std::vector<std::int32_t> all(labels.size(), no_target);
  switch (target.kind) {
    case AttackTarget::Kind::none:
      return all;
    case AttackTarget::Kind::least_likely:
      return ranked_class(clean, labels, clean.dim(1) - 2);
    case AttackTarget::Kind::each:
      return ranked_class(clean, labels, restart % (clean.dim(1) - 1));
    case AttackTarget::Kind::fixed:
      break;
  }
  require<ValueError>(0 <= target.fixed && target.fixed < clean.dim(1),
                      "attack: expected a target class in 0..", clean.dim(1) - 1, ", got ",
                      target.fixed);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (labels[i] != target.fixed) all[i] = target.fixed;
  }
  return all;
}

std::vector<double> margins(const Tensor& logits, Labels labels) {
  check(logits, labels);
  const std::int64_t classes = logits.dim(1);
  std::vector<double> all(labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const double* f = logits.data<double>() + static_cast<std::int64_t>(i) * classes;
    all[i] = f[labels[i]] - f[runner_up({f, classes, labels[i], no_target, nullptr})];
  }
  return all;
}

std::vector<std::int32_t> predicted(const Tensor& logits) {
  const std::int64_t classes = logits.dim(1);
  std::vector<std::int32_t> all(static_cast<std::size_t>(logits.dim(0)));
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double* f = logits.data<double>() + static_cast<std::int64_t>(i) * classes;
    all[i] = static_cast<std::int32_t>(std::max_element(f, f + classes) - f);
  }
  return all;
}

std::vector<std::int32_t> ranked_class(const Tensor& logits, Labels labels, std::int64_t rank) {
  check(logits, labels);
  const std::int64_t classes = logits.dim(1);
  require<ValueError>(0 <= rank && rank < classes - 1, "attack_loss: expected a rank in 0..",
                      classes - 2, ", got ", rank);
  std::vector<std::int32_t> all(labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const double* f = logits.data<double>() + static_cast<std::int64_t>(i) * classes;
    std::vector<std::int32_t> others;
    for (std::int32_t j = 0; j < classes; ++j) {
      if (j != labels[i]) others.push_back(j);
    }
    std::stable_sort(others.begin(), others.end(),
                     [&](std::int32_t a, std::int32_t b) { return f[a] > f[b]; });
    all[i] = others[static_cast<std::size_t>(rank)];
  }
  return all;
}

}  // namespace isotape
