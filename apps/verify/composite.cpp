#include <isotape/apps/verify/composite.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <isotape/apps/verify/arithmetic.hpp>
#include <isotape/apps/verify/linear_map.hpp>

namespace isotape::verify {
namespace {

// The convolution of the operation's weight, on images that keep their size; a vector counts as an
// image of one pixel.
Layer convolution_of(const Layer& layer, const WeightsFile& weights) {
  Layer map;
  map.op = layer.op;
  map.in = map.out = layer.in;
  map.in.flat = false;
  resolve_conv(map, weights);
  const bool keeps = map.out.rows == layer.in.rows && map.out.columns == layer.in.columns;
  expect(keeps, *layer.op, "a border that keeps the size", layer.in);
  return map;
}

// Its transpose: kernel [i, o, h - 1 - a, w - 1 - b], and what stood before stands after.
Layer transposed(const Layer& map) {
  Layer result = map;
  std::swap(result.in, result.out);
  std::swap(result.filters[0], result.filters[1]);
  result.before = map.op->after;
  const std::int64_t taps = map.filters[2] * map.filters[3];
  const std::int64_t outputs = map.filters[1];
  const std::int64_t inputs = map.filters[0];
  result.products = taps * inputs;
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      for (std::int64_t i = 0; i < inputs; ++i) {
        result.weight[o * result.products + tap * inputs + i] =
            map.weight[i * map.products + (taps - 1 - tap) * outputs + o];
      }
    }
  }
  result.bias.assign(outputs, 0);
  result.added = 0;
  return result;
}

// Without its weights.
Layer dense_map(const Layer& layer, const Extents& in, std::int64_t inputs) {
  Layer map;
  map.op = layer.op;
  map.in = in;
  map.out = layer.out;
  map.products = inputs;
  map.bias.assign(layer.out.channels, 0);
  return map;
}

void keep_map(Layer& layer, Layer map) {
  layer.filters = map.filters;
  layer.absolute = map.absolute;
  layer.added = map.added;
  layer.products = map.products;
  layer.maps.push_back(std::move(map));
}

// x, rounded up, of a number that is right to 2^-50 of its value.
double libm_up(double x) { return mul_up(x, 1 + 0x1p-50); }

}  // namespace

bool is_composite(const Operation& o) {
  return o.op == "potential" || o.op == "skew_exp" || o.op == "sandwich" ||
         o.op == "frequency_sandwich";
}

void resolve_potential(Layer& layer, const WeightsFile& weights) {
  keep_map(layer, convolution_of(layer, weights));
  expect(fits(layer.maps[0].out), *layer.op, "at most 4194304 entries", layer.maps[0].out);
  layer.maps.push_back(transposed(layer.maps[0]));
  layer.products = std::max(layer.maps[0].products, layer.maps[1].products);
}

// Half the largest row sum of |K + K^T|: each sum of two f32 numbers and each sum of sizes is
// rounded, as many times as there are entries in a row, and once.
void resolve_skew_exp(Layer& layer, const WeightsFile& weights) {
  keep_map(layer, convolution_of(layer, weights));
  const Layer& map = layer.maps[0];
  const Operation& o = *layer.op;
  expect(map.out.channels == layer.in.channels && o.before == o.after, o,
         "a square kernel with a centre", layer.in);
  const std::vector<double> mirrored = transposed(map).weight;
  for (std::int64_t row = 0; row < map.out.channels; ++row) {
    double sum = 0;
    for (std::int64_t e = 0; e < map.products; ++e) {
      sum += std::abs(map.weight[row * map.products + e] + mirrored[row * map.products + e]);
    }
    layer.skewness = std::max(layer.skewness, sum / 2);
  }
  if (layer.skewness == 0) return;
  layer.skewness = inflated(layer.skewness, static_cast<double>(map.products) + 1);
}

// |psi| beyond 16 is refused to every arithmetic: A is taken as infinite.
void resolve_activation(Layer& layer, const WeightsFile& weights) {
  const Operation& o = *layer.op;
  const bool known = o.activation == "relu" || o.activation == "softplus" ||
                     o.activation == "tanh" || o.activation == "sigmoid" ||
                     o.activation == "identity";
  expect(known, o, "activation: relu, softplus, tanh, sigmoid or identity", layer.in);
  add_bias(layer, weights);
  const double at_zero = o.activation == "softplus"  ? std::numbers::ln2
                         : o.activation == "sigmoid" ? 0.5
                                                     : 0;
  const std::int64_t q = layer.out.channels;
  const StoredTensor& psi = weights.at(o.psi, std::vector<std::int64_t>{q});
  std::vector<double> moved;
  std::vector<double> constant;
  for (std::int64_t j = 0; j < q; ++j) {
    layer.scale.push_back(std::numbers::sqrt2 * std::exp(static_cast<double>(psi.entries[j])));
    moved.push_back(libm_up(layer.scale[j]) * std::abs(layer.bias[j]));
    constant.push_back(libm_up(layer.scale[j]) * at_zero);
    if (!(std::abs(psi.entries[j]) <= 16)) {
      layer.absolute = std::numeric_limits<double>::infinity();
    }
  }
  layer.added = mul_up(libm_up(add_up(norm_up(moved), norm_up(constant))),
                       sqrt_up(static_cast<double>(layer.out.pixels())));
}

void resolve_sandwich(Layer& layer, const WeightsFile& weights) {
  const Operation& o = *layer.op;
  const StoredTensor& w = weights.at(o.weight, 2);
  const std::int64_t q = w.shape[1];
  const std::int64_t p = w.shape[0] - q;
  expect(layer.in.flat && layer.in.channels == p, o,
         "an input of as many entries as the weight has rows beyond its columns", layer.in);
  layer.out.channels = q;
  layer.filters = w.shape;
  layer.products = std::max(p, q);
  layer.absolute = absolute_bound(w.entries, p + q, q, 1, 1);
  resolve_activation(layer, weights);
  Layer inner = dense_map(layer, layer.in, p);
  Layer outer = dense_map(layer, layer.out, q);
  for (std::int64_t j = 0; j < q; ++j) {
    for (std::int64_t i = 0; i < p; ++i) {
      inner.weight.push_back(static_cast<double>(w.entries[(q + i) * q + j]));
    }
  }
  outer.weight.assign(w.entries.begin(), w.entries.begin() + q * q);
  layer.maps = {std::move(inner), std::move(outer)};
}

double composite_lipschitz(const Layer& layer) {
  const Operation& o = *layer.op;
  const double sigma = o.sigma.upper;
  if (o.op == "sandwich" || o.op == "frequency_sandwich") return mul_up(sigma, sigma);
  if (o.op == "potential") return std::max(1.0, sub_up(mul_up(sigma, sigma), 1));
  double rest = 1;
  for (std::int64_t i = 1; i <= o.terms; ++i) {
    rest = mul_up(rest, div_up(sigma, static_cast<double>(i)));
  }
  const double turn = layer.skewness == 0 ? 1 : libm_up(std::exp(layer.skewness));
  return mul_up(turn, add_up(1, rest));
}

}  // namespace isotape::verify
