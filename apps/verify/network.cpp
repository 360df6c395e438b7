#include <isotape/apps/verify/network.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/apps/verify/arithmetic.hpp>
#include <isotape/apps/verify/composite.hpp>
#include <isotape/apps/verify/convolution_enclosure.hpp>
#include <isotape/apps/verify/failure.hpp>
#include <isotape/apps/verify/frequencies.hpp>
#include <isotape/apps/verify/householder.hpp>
#include <isotape/apps/verify/linear_map.hpp>
#include <isotape/apps/verify/matrix_enclosure.hpp>

namespace isotape::verify {
namespace {

// A difference of two f32 numbers in f32 arithmetic is the nearest f32 number.
void resolve_center(Layer& layer, const WeightsFile& weights) {
  const std::vector<std::int64_t> shape{layer.in.channels};
  const StoredTensor& mean = weights.at(layer.op->mean, shape);
  const StoredTensor& bias = weights.at(layer.op->bias, shape);
  for (std::int64_t c = 0; c < layer.in.channels; ++c) {
    const float difference = bias.entries[c] - mean.entries[c];
    layer.bias.push_back(static_cast<double>(difference));
  }
  layer.added = mul_up(norm_up(layer.bias), sqrt_up(static_cast<double>(layer.in.pixels())));
}

// The kinks in order. What an entry of 0 gives: 0, or -2 times the nearer of two on one side.
void resolve_nact(Layer& layer, const WeightsFile& weights) {
  const std::vector<std::int64_t> shape{layer.in.channels};
  const StoredTensor& a = weights.at(layer.op->lower, shape);
  const StoredTensor& b = weights.at(layer.op->upper, shape);
  std::vector<double> nearer;
  for (std::int64_t c = 0; c < layer.in.channels; ++c) {
    const auto first = static_cast<double>(a.entries[c]);
    const auto second = static_cast<double>(b.entries[c]);
    layer.lower.push_back(std::min(first, second));
    layer.upper.push_back(std::max(first, second));
    nearer.push_back(2 * std::min(std::abs(first), std::abs(second)));
  }
  layer.added = mul_up(norm_up(nearer), sqrt_up(static_cast<double>(layer.in.pixels())));
}

void resolve_affine(Layer& layer, const WeightsFile& weights) {
  const std::vector<std::int64_t> shape{layer.in.channels};
  const StoredTensor& scale = weights.at(layer.op->scale, shape);
  const StoredTensor& shift = weights.at(layer.op->shift, shape);
  layer.scale.assign(scale.entries.begin(), scale.entries.end());
  layer.bias.assign(shift.entries.begin(), shift.entries.end());
  layer.added = mul_up(norm_up(layer.bias), sqrt_up(static_cast<double>(layer.in.pixels())));
}

// a = 1 / (1 + exp(-mix)). libm's exp is taken to be right to 2^-50 of its value, or beyond the
// largest number where it says so.
void resolve_convex(Layer& layer, const WeightsFile& weights) {
  const std::vector<std::int64_t> shape{1};
  layer.mix = static_cast<double>(weights.at(layer.op->mix, shape).entries[0]);
  const double power = std::exp(-layer.mix);
  const double largest = std::numeric_limits<double>::max();
  const double least = mul_down(std::min(power, largest), 1 - 0x1p-50);
  layer.share.lower = std::max(0.0, div_down(1, add_up(1, mul_up(power, 1 + 0x1p-50))));
  layer.share.upper = std::min(1.0, div_up(1, add_down(1, std::max(0.0, least))));
}

void resolve_pool(Layer& layer) {
  const Operation& o = *layer.op;
  const bool covered = !layer.in.flat && layer.in.rows >= o.kernel &&
                       layer.in.columns >= o.kernel && (layer.in.rows - o.kernel) % o.stride == 0 &&
                       (layer.in.columns - o.kernel) % o.stride == 0;
  expect(covered, o, "an image that the windows cover", layer.in);
  layer.out.rows = (layer.in.rows - o.kernel) / o.stride + 1;
  layer.out.columns = (layer.in.columns - o.kernel) / o.stride + 1;
}

void resolve_branches(Layer& layer, const WeightsFile& weights) {
  const Operation& o = *layer.op;
  Extents input = layer.in;
  if (o.op == "split") {
    const auto count = std::ssize(o.branches);
    expect(count > 0 && input.channels % count == 0, o, "channels for equal shares", layer.in);
    input.channels /= count;
  }
  for (const Chain& chain : o.branches) {
    layer.branches.push_back(resolve(chain, input, weights));
    const Extents out = layer.branches.back().empty() ? input : layer.branches.back().back().out;
    if (layer.branches.size() == 1) {
      layer.out = out;
      continue;
    }
    const bool joins = o.op == "sum"
                           ? out == layer.out
                           : out.rows == layer.out.rows && out.columns == layer.out.columns &&
                                 out.flat == layer.out.flat;
    expect(joins, o, "branches whose outputs join", out);
    if (o.op != "sum") layer.out.channels += out.channels;
  }
  expect(!layer.branches.empty(), o, "branches", layer.in);
  expect(o.op != "convex" || layer.out == layer.in, o, "layers that keep the shape", layer.out);
}

// What the operations without weights of linear maps give.
void resolve_plain(Layer& layer) {
  const Operation& o = *layer.op;
  Extents& out = layer.out;
  const std::int64_t square = o.factor * o.factor;
  if (o.op == "sort" || o.op == "maxout") {
    expect(out.channels % o.size == 0, o, "channels in groups of " + std::to_string(o.size),
           layer.in);
    if (o.op == "maxout") out.channels /= o.size;
  } else if (o.op == "leaky_relu") {
    expect(std::abs(o.slope) <= 1, o, "a slope of size at most 1", layer.in);
  } else if (o.op == "flatten") {
    out = {1, 1, layer.in.size(), true};
  } else if (o.op == "pixel_unshuffle") {
    expect(!out.flat && out.rows % o.factor == 0 && out.columns % o.factor == 0, o,
           "sides that are multiples of the factor", layer.in);
    out = {out.rows / o.factor, out.columns / o.factor, out.channels * square, false};
  } else if (o.op == "pixel_shuffle") {
    expect(!out.flat && out.channels % square == 0, o,
           "channels in multiples of the factor's square", layer.in);
    out = {out.rows * o.factor, out.columns * o.factor, out.channels / square, false};
  } else if (o.op == "shift") {
    expect(!out.flat, o, "an image", layer.in);
  } else if (o.op == "upsample") {
    expect(!out.flat, o, "an image", layer.in);
    out = {out.rows * o.factor, out.columns * o.factor, out.channels, false};
  } else if (o.op == "channel_shuffle") {
    expect(out.channels % o.groups == 0, o, "channels in equal groups", layer.in);
  } else if (o.op == "channel_pad" || o.op == "first_channels") {
    expect(o.op == "channel_pad" ? o.channels >= out.channels : o.channels <= out.channels, o,
           "channels to pad or to take from", layer.in);
    out.channels = o.channels;
  } else if (o.op == "global_avgpool") {
    expect(!out.flat, o, "an image", layer.in);
    out = {1, 1, out.channels, true};
  } else if (o.op == "layer_center") {
    expect(o.over == "pixels" || o.over == "channels" || o.over == "all", o,
           "over: pixels, channels or all", layer.in);
  }
}

Layer resolve_layer(const Operation& o, const Extents& in, const WeightsFile& weights) {
  Layer layer;
  layer.op = &o;
  layer.in = layer.out = in;
  if (o.op == "linear") {
    resolve_linear(layer, weights);
  } else if (o.op == "conv") {
    resolve_conv(layer, weights);
  } else if (o.op == "center") {
    resolve_center(layer, weights);
  } else if (o.op == "bias") {
    add_bias(layer, weights);
  } else if (o.op == "nact") {
    resolve_nact(layer, weights);
  } else if (o.op == "affine") {
    resolve_affine(layer, weights);
  } else if (o.op == "householder") {
    resolve_householder(layer, weights);
  } else if (o.op == "potential") {
    resolve_potential(layer, weights);
  } else if (o.op == "skew_exp") {
    resolve_skew_exp(layer, weights);
  } else if (o.op == "sandwich") {
    resolve_sandwich(layer, weights);
  } else if (o.op == "frequencies") {
    resolve_frequencies(layer, weights);
  } else if (o.op == "frequency_sandwich") {
    resolve_frequency_sandwich(layer, weights);
  } else if (o.op == "l2pool" || o.op == "avgpool") {
    resolve_pool(layer);
  } else if (!o.branches.empty() || o.op == "sum" || o.op == "concat" || o.op == "split") {
    if (o.op == "convex") resolve_convex(layer, weights);
    resolve_branches(layer, weights);
  } else {
    resolve_plain(layer);
  }
  expect(fits(layer.out), o, "at most 4194304 entries", layer.out);
  return layer;
}

}  // namespace

std::string Extents::text() const {
  const std::string c = std::to_string(channels);
  return flat ? '[' + c + ']'
              : '[' + std::to_string(rows) + ", " + std::to_string(columns) + ", " + c + ']';
}

Network resolve(const Chain& layers, Extents input, const WeightsFile& weights) {
  if (!fits(input)) {
    throw Failure("input: expected at most 4194304 entries, found " + input.text());
  }
  Network network;
  for (const Operation& o : layers) {
    network.push_back(resolve_layer(o, input, weights));
    input = network.back().out;
  }
  return network;
}

bool has_sigma(const Operation& o) {
  return o.op == "linear" || o.op == "conv" || o.op == "frequencies" || is_composite(o);
}

Enclosure own_sigma(const Layer& layer, const WeightsFile& weights) {
  const Operation& o = *layer.op;
  if (o.op == "frequencies" || o.op == "frequency_sandwich") {
    return frequencies_enclosure(layer, weights);
  }
  const StoredTensor& w = weights.at(o.weight, layer.filters);
  if (o.op == "linear" || o.op == "sandwich") {
    return matrix_enclosure(w.entries, w.shape[0], w.shape[1]);
  }
  return convolution_enclosure({.filters = w.shape[0],
                                .inputs = w.shape[1],
                                .taps = {w.shape[2], w.shape[3]},
                                .image = {layer.out.rows, layer.out.columns},
                                .stride = o.stride,
                                .dilation = o.dilation,
                                .groups = o.groups,
                                .circular = o.circular},
                               w.entries);
}

double lipschitz(const Layer& layer) {
  const Operation& o = *layer.op;
  if (o.op == "linear" || o.op == "conv" || o.op == "frequencies") return o.sigma.upper;
  if (is_composite(o)) return composite_lipschitz(layer);
  if (o.op == "upsample") return static_cast<double>(o.factor);
  if (o.op == "gain") return std::abs(o.value);
  if (o.op == "affine") {
    double largest = 0;
    for (const double scale : layer.scale) largest = std::max(largest, std::abs(scale));
    return largest;
  }
  double sum = 0;
  double squares = 0;
  double largest = 0;
  for (const Network& branch : layer.branches) {
    const double bound = lipschitz(branch, branch.size());
    sum = add_up(sum, bound);
    squares = add_up(squares, mul_up(bound, bound));
    largest = std::max(largest, bound);
  }
  if (o.op == "sum") return sum;
  if (o.op == "concat") return sqrt_up(squares);
  if (o.op == "split") return largest;
  if (o.op != "convex" || largest == 1) return 1;
  // (1 - a) + a L is linear in a: largest at an end of a's enclosure.
  const auto at = [&](double a) { return add_up(sub_up(1, a), mul_up(a, largest)); };
  return std::max(at(layer.share.lower), at(layer.share.upper));
}

double lipschitz(const Network& network, std::size_t count) {
  double product = 1;
  for (std::size_t i = 0; i < count; ++i) {
    const double bound = lipschitz(network[i]);
    if (bound != 1) product = product == 1 ? bound : mul_up(product, bound);
  }
  return product;
}

// The difference of two entries is rounded, its square doubles that, and is rounded with the sum.
std::vector<std::vector<double>> pair_norms(const Layer& layer) {
  const std::int64_t classes = layer.out.channels;
  const std::int64_t inputs = layer.products;
  std::vector<std::vector<double>> norms(classes, std::vector<double>(classes));
  for (std::int64_t i = 0; i < classes; ++i) {
    for (std::int64_t j = 0; j < i; ++j) {
      double sum = 0;
      for (std::int64_t k = 0; k < inputs; ++k) {
        const double difference = layer.weight[i * inputs + k] - layer.weight[j * inputs + k];
        sum += difference * difference;
      }
      norms[i][j] = norms[j][i] = sqrt_up(inflated(sum, static_cast<double>(inputs) + 3));
    }
  }
  return norms;
}

}  // namespace isotape::verify
