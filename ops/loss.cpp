#include <isotape/ops/loss.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/ops/row_loss.hpp>

namespace isotape {
namespace {

const Op softmax_cross_entropy_op("softmax_cross_entropy");
const Op multi_margin_op("multi_margin");

}  // namespace

Var softmax_cross_entropy(const Var& logits, Labels labels) {
  check_rows(softmax_cross_entropy_op, logits.value(), labels);
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
  check_rows(multi_margin_op, logits.value(), labels);

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
