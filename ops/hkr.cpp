#include <isotape/ops/hkr.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include <isotape/ops/row_loss.hpp>

namespace isotape {
namespace {

const Op kantorovich_rubinstein_op("kantorovich_rubinstein");
const Op hkr_op("hkr");
const Op soft_hkr_op("soft_hkr");

void check_hinge(const Op& op, double lambda, double margin) {
  require<ValueError>(std::isfinite(lambda) && lambda >= 0, op.name(),
                      ": expected a finite lambda >= 0, got ", lambda);
  require<ValueError>(std::isfinite(margin) && margin >= 0, op.name(),
                      ": expected a finite margin >= 0, got ", margin);
}

// max(0, z) with the slope 0 at 0; NaN stays NaN.
double hinge(double z) { return z <= 0 ? 0 : z; }
double hinge_slope(double z) { return z > 0 ? 1 : 0; }

// Of each class of the scores: the number of rows in it.
std::vector<double> class_sizes(Labels labels, std::int64_t classes) {
  std::vector<double> sizes(static_cast<std::size_t>(classes), 0.0);
  for (const std::int32_t label : labels) {
    if (classes == 1) {
      sizes[0] += label;
    } else {
      sizes[static_cast<std::size_t>(label)] += 1;
    }
  }
  return sizes;
}

// A row's share in the loss, as a mean over rows needs it: with n_c rows in class c,
//     1/C sum_c [ -N/n_c f_c if y = c, else N/(N - n_c) f_c ] + lambda/C sum_c max(0, m - s_c f_c)
// so that grad_c = (-s_c N / (rows on its side) - lambda s_c [m > s_c f_c]) / C.
Var transport(const Op& op, const Var& scores, Labels labels, double lambda, double margin) {
  check_rows(op, scores.value(), labels, 2);
  const auto rows = static_cast<double>(labels.size());
  const std::vector<double> sizes = class_sizes(labels, scores.dim(1));
  const auto row = [&]<class T>(const T* f, std::int64_t classes, std::int32_t y, T unit, T* grad) {
    double loss = 0;
    const double share = 1 / static_cast<double>(classes);
    for (std::int64_t c = 0; c < classes; ++c) {
      const bool is_in = classes == 1 ? y == 1 : y == c;
      const double sign = is_in ? 1 : -1;
      const double own = sizes[static_cast<std::size_t>(c)];
      const double weight = rows / (is_in ? own : rows - own);
      const double signed_score = sign * static_cast<double>(f[c]);
      const double short_of = margin - signed_score;
      loss += share * (-weight * signed_score + (lambda == 0 ? 0 : lambda * hinge(short_of)));
      if (grad == nullptr) continue;
      const double slope = -sign * (weight + lambda * hinge_slope(short_of));
      grad[c] = static_cast<T>(share * slope * static_cast<double>(unit));
    }
    return loss;
  };
  return mean_over_rows(op, scores, labels, row);
}

}  // namespace

Var kantorovich_rubinstein(const Var& scores, Labels labels) {
  return transport(kantorovich_rubinstein_op, scores, labels, 0, 0);
}

Var hkr(const Var& scores, Labels labels, const HkrOptions& options) {
  check_hinge(hkr_op, options.lambda, options.margin);
  return transport(hkr_op, scores, labels, options.lambda, options.margin);
}

Var soft_hkr(const Var& scores, Labels labels, const SoftHkrOptions& options) {
  check_hinge(soft_hkr_op, options.lambda, options.margin);
  require<ValueError>(std::isfinite(options.temperature) && options.temperature > 0,
                      "soft_hkr: expected a finite temperature > 0, got ", options.temperature);
  check_rows(soft_hkr_op, scores.value(), labels);
  require<ShapeError>(scores.dim(1) >= 2, "soft_hkr: expected two classes or more, got scores of ",
                      "shape ", scores.shape());

  // With H = sum_{j != y} p_j h_j and dp_j = p_j (df_j - sum_k p_k df_k) / T:
  //     grad_j = p_j (h_j' + (h_j - H) / T),   grad_y = -(1 + lambda [m > f_y])
  const auto row = [options]<class T>(const T* f, std::int64_t classes, std::int32_t y, T unit,
                                      T* grad) {
    const double lambda = options.lambda;
    const double margin = options.margin;
    const double temperature = options.temperature;
    double largest = -std::numeric_limits<double>::infinity();
    for (std::int64_t j = 0; j < classes; ++j) {
      if (j != y) largest = std::max(largest, static_cast<double>(f[j]));
    }
    const auto weight = [&](std::int64_t j) {
      return std::exp((static_cast<double>(f[j]) - largest) / temperature);
    };
    const auto height = [&](std::int64_t j) {
      const auto score = static_cast<double>(f[j]);
      return score + lambda * hinge(margin + score);
    };
    double weights = 0;
    double heights = 0;
    for (std::int64_t j = 0; j < classes; ++j) {
      if (j == y) continue;
      weights += weight(j);
      heights += weight(j) * height(j);
    }
    const double mean = heights / weights;
    const auto own = static_cast<double>(f[y]);
    for (std::int64_t j = 0; grad != nullptr && j < classes; ++j) {
      const double of_others = weight(j) / weights *
                               (1 + lambda * hinge_slope(margin + static_cast<double>(f[j])) +
                                (height(j) - mean) / temperature);
      const double slope = j == y ? -(1 + lambda * hinge_slope(margin - own)) : of_others;
      grad[j] = static_cast<T>(slope * static_cast<double>(unit));
    }
    return mean - own + lambda * hinge(margin - own);
  };
  return mean_over_rows(soft_hkr_op, scores, labels, row);
}

}  // namespace isotape
