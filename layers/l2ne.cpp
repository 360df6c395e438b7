#include <isotape/layers/l2ne.hpp>

#include <algorithm>

#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reduce.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

// The largest row sum of the absolute Gram matrix w w^T (or w^T w), [1].
Var largest_row_sum(const Var& w, bool columns) {
  const Var sums = sum(abs(matmul(w, w, {.trans_a = columns, .trans_b = !columns})), 1);
  std::int64_t largest = 0;
  for (std::int64_t i = 1; i < sums.dim(0); ++i) {
    if (sums.value().at(i) > sums.value().at(largest)) largest = i;
  }
  return slice(sums, 0, largest, largest + 1);
}

Parametrization constraint(Site&) { return L2Nonexpansive{}; }

}  // namespace

Var L2Nonexpansive::apply(const Var& raw) const {
  const Var by_rows = largest_row_sum(raw, false);
  const Var by_columns = largest_row_sum(raw, true);
  const Var square = by_rows.value().at(0) < by_columns.value().at(0) ? by_rows : by_columns;
  if (square.value().at(0) == 0) return scale(raw, 0);
  return mul(raw, exp(scale(log(square), -0.5)));  // raw / f
}

constinit const LayerType l2ne_type = {
    .type = "l2ne",
    .kind = LayerKind::convolution,
    .property = LayerProperty::one_lipschitz,
    .options = "out, kernel, stride, groups, dilation, padding, bias",
    .description =
        "convolution whose reshaped kernel is divided by the l-infinity norms of its "
        "Gram matrices, and by ceil(kernel / stride)",
    .cost = "2 m n (m + n) of the kernel as a matrix of m = out, n = in k^2",
    .source = "Qian 2019; Li 2019",
    .build = [](Site& site) { return build_conv(site, constraint); },
    .constraint = constraint,
};

}  // namespace isotape
