#include <isotape/apps/verify/linear_map.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/apps/verify/arithmetic.hpp>
#include <isotape/apps/verify/failure.hpp>

namespace isotape::verify {
namespace {

constexpr std::int64_t most_entries = std::int64_t{1} << 22U;

std::int64_t output_side(const Layer& layer, int axis, std::int64_t side) {
  const Operation& o = *layer.op;
  const std::int64_t reach = o.dilation * (layer.filters.at(axis + 2) - 1) + 1;
  const std::int64_t padded = side + o.before.at(axis) + o.after.at(axis);
  expect(padded >= reach, o, "an input of at least the kernel's size", layer.in);
  const std::int64_t result = (padded - reach) / o.stride + 1;
  expect(!o.circular || result * o.stride == side, o,
         "sides of stride times those of the output under circular padding", layer.in);
  return result;
}

}  // namespace

void expect(bool holds, const Operation& o, const std::string& expected, const Extents& found) {
  if (!holds)
    throw Failure(o.name + " (" + o.op + "): expected " + expected + ", found " + found.text());
}

// Side by side, so that no product overflows.
bool fits(const Extents& x) {
  const bool sides =
      x.rows <= most_entries && x.columns <= most_entries && x.channels <= most_entries;
  return sides && x.pixels() <= most_entries && x.size() <= most_entries;
}

// >= the norm of these numbers: as many squares and sums, each rounded, as there are numbers.
double norm_up(const std::vector<double>& x) {
  double sum = 0;
  for (const double entry : x) sum += entry * entry;
  return sqrt_up(inflated(sum, static_cast<double>(x.size()) + 1));
}

// The root of the largest row sum times the largest column sum of |W|, for `inputs` columns; the
// sum of |w| over a column of a kernel goes over all its taps. The order of a sum does not matter.
double absolute_bound(const std::vector<float>& w, std::int64_t filters, std::int64_t inputs,
                      std::int64_t taps, std::int64_t groups) {
  std::vector<double> rows(filters);
  std::vector<double> columns(groups * inputs);
  for (std::int64_t e = 0; e < filters * inputs * taps; ++e) {
    const std::int64_t o = e / (inputs * taps);
    const auto size = std::abs(static_cast<double>(w[e]));
    rows[o] += size;
    columns[o / (filters / groups) * inputs + e / taps % inputs] += size;
  }
  const auto terms = static_cast<double>(w.size());
  const double row = inflated(*std::max_element(rows.begin(), rows.end()), terms);
  const double column = inflated(*std::max_element(columns.begin(), columns.end()), terms);
  return sqrt_up(mul_up(row, column));
}

void add_bias(Layer& layer, const WeightsFile& weights) {
  const std::int64_t count = layer.out.channels;
  layer.bias.assign(count, 0);
  if (!layer.op->bias.empty()) {
    const StoredTensor& bias = weights.at(layer.op->bias, std::vector<std::int64_t>{count});
    layer.bias.assign(bias.entries.begin(), bias.entries.end());
    layer.added = mul_up(norm_up(layer.bias), sqrt_up(static_cast<double>(layer.out.pixels())));
  }
}

void resolve_linear(Layer& layer, const WeightsFile& weights) {
  const Operation& o = *layer.op;
  const StoredTensor& w = weights.at(o.weight, 2);
  expect(layer.in.flat && layer.in.channels == w.shape[1], o,
         "an input of [" + std::to_string(w.shape[1]) + "]", layer.in);
  layer.filters = w.shape;
  layer.products = w.shape[1];
  layer.out.channels = w.shape[0];
  layer.weight.assign(w.entries.begin(), w.entries.end());
  layer.absolute = absolute_bound(w.entries, w.shape[0], w.shape[1], 1, 1);
  add_bias(layer, weights);
}

void resolve_conv(Layer& layer, const WeightsFile& weights) {
  const Operation& o = *layer.op;
  const StoredTensor& w = weights.at(o.weight, 4);
  layer.filters = w.shape;
  layer.before = o.before;
  const std::int64_t taps = w.shape[2] * w.shape[3];
  expect(!layer.in.flat && layer.in.channels == o.groups * w.shape[1] && w.shape[0] % o.groups == 0,
         o, "an image of groups times the kernel's inputs", layer.in);
  layer.out = {output_side(layer, 0, layer.in.rows), output_side(layer, 1, layer.in.columns),
               w.shape[0], false};
  layer.products = taps * w.shape[1];
  layer.weight.resize(w.entries.size());
  for (std::int64_t e = 0; e < std::ssize(layer.weight); ++e) {
    const std::int64_t tap = e % taps;
    const std::int64_t input = e / taps % w.shape[1];
    layer.weight[e / layer.products * layer.products + tap * w.shape[1] + input] =
        static_cast<double>(w.entries[e]);
  }
  layer.absolute = absolute_bound(w.entries, w.shape[0], w.shape[1], taps, o.groups);
  add_bias(layer, weights);
}

}  // namespace isotape::verify
