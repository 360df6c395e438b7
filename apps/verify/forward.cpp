#include <isotape/apps/verify/forward.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>

#include <isotape/apps/verify/block.hpp>
#include <isotape/apps/verify/frequencies.hpp>
#include <isotape/apps/verify/householder.hpp>

namespace isotape::verify {
namespace {

// The sorted values of each group, largest first, in the places of the group; of maxout the first.
Block sorted(const Layer& layer, const Block& x) {
  const Operation& o = *layer.op;
  const std::int64_t channels = layer.in.channels;
  const std::int64_t groups = channels / o.size;
  Block y = x;
  Block largest(layer.out.size());
  for (std::int64_t p = 0; p < layer.in.pixels(); ++p) {
    for (std::int64_t g = 0; g < groups; ++g) {
      const auto member = [&](std::int64_t i) {
        return y.at(p * channels + (o.adjacent ? g * o.size + i : g + i * groups));
      };
      for (std::int64_t last = o.size - 1; last > 0; --last) {
        for (std::int64_t i = 0; i < last; ++i) {
          double* const a = member(i);
          double* const b = member(i + 1);
          for_lanes([&](std::int64_t l) {
            const double high = a[l] < b[l] ? b[l] : a[l];
            const double low = a[l] < b[l] ? a[l] : b[l];
            a[l] = high;
            b[l] = low;
          });
        }
      }
      if (o.op == "maxout") copy(member(0), largest.at(p * groups + g));
    }
  }
  return o.op == "maxout" ? largest : y;
}

Block pointwise(const Layer& layer, const Block& x) {
  const Operation& o = *layer.op;
  Block y = x;
  for (std::int64_t e = 0; e < layer.in.size(); ++e) {
    double* const v = y.at(e);
    if (o.op == "abs") for_lanes([&](std::int64_t l) { v[l] = std::abs(v[l]); });
    if (o.op == "relu") for_lanes([&](std::int64_t l) { v[l] = v[l] > 0 ? v[l] : 0; });
    if (o.op == "gain") for_lanes([&](std::int64_t l) { v[l] *= o.value; });
    if (o.op == "leaky_relu")
      for_lanes([&](std::int64_t l) { v[l] = v[l] > 0 ? v[l] : o.slope * v[l]; });
  }
  return y;
}

Block scaled(const Layer& layer, const Block& x) {
  Block y = x;
  for (std::int64_t e = 0; e < layer.in.size(); ++e) {
    const double scale = layer.scale[e % layer.in.channels];
    double* const v = y.at(e);
    for_lanes([&](std::int64_t l) { v[l] *= scale; });
  }
  return y;
}

// The kinks are in order: v - 2 a up to the lower one, v - 2 b from the upper one on.
Block n_activation(const Layer& layer, const Block& x) {
  Block y = x;
  for (std::int64_t e = 0; e < layer.in.size(); ++e) {
    const double a = layer.lower[e % layer.in.channels];
    const double b = layer.upper[e % layer.in.channels];
    double* const v = y.at(e);
    for_lanes([&](std::int64_t l) {
      v[l] = v[l] <= a ? v[l] - 2 * a : v[l] >= b ? v[l] - 2 * b : -v[l];
    });
  }
  return y;
}

// The entry that an entry of the output is a copy of; -1 for a zero.
std::int64_t source(const Layer& layer, std::int64_t row, std::int64_t column,
                    std::int64_t channel) {
  const Operation& o = *layer.op;
  const Extents& in = layer.in;
  const std::int64_t f = o.factor;
  const auto at = [&](std::int64_t i, std::int64_t j, std::int64_t c) {
    return (i * in.columns + j) * in.channels + c;
  };
  if (o.op == "flatten") return channel % in.pixels() * in.channels + channel / in.pixels();
  if (o.op == "pixel_unshuffle") {
    return at(row * f + channel / f % f, column * f + channel % f, channel / (f * f));
  }
  if (o.op == "pixel_shuffle") {
    return at(row / f, column / f, (channel * f + row % f) * f + column % f);
  }
  if (o.op == "upsample") return at(row / f, column / f, channel);
  if (o.op == "shift") {
    // The first fifth of the channels comes from d rows below, the others from above, right, left.
    const std::int64_t fifth = in.channels / 5;
    const std::int64_t turn = fifth == 0 ? 4 : std::min<std::int64_t>(channel / fifth, 4);
    const std::int64_t down = turn == 0 ? o.distance : turn == 1 ? -o.distance : 0;
    const std::int64_t right = turn == 2 ? o.distance : turn == 3 ? -o.distance : 0;
    const auto around = [](std::int64_t i, std::int64_t n) { return (i % n + n) % n; };
    return at(around(row + down, in.rows), around(column + right, in.columns), channel);
  }
  if (o.op == "channel_shuffle") {
    return at(row, column, channel % o.groups * (in.channels / o.groups) + channel / o.groups);
  }
  return channel < in.channels ? at(row, column, channel) : -1;  // channel_pad, first_channels
}

Block moved(const Layer& layer, const Block& x) {
  Block y(layer.out.size());
  for (std::int64_t e = 0; e < layer.out.size(); ++e) {
    const std::int64_t pixel = e / layer.out.channels;
    const std::int64_t from =
        source(layer, pixel / layer.out.columns, pixel % layer.out.columns, e % layer.out.channels);
    if (from >= 0) copy(x.at(from), y.at(e));
  }
  return y;
}

// Sums over windows, of squares for the l2 norm.
Block pooled(const Layer& layer, const Block& x) {
  const Operation& o = *layer.op;
  const std::int64_t channels = layer.in.channels;
  const std::int64_t q = o.kernel / o.stride;
  const std::int64_t r = o.kernel % o.stride;
  const auto whole = static_cast<double>(r * (q + 1) * (q + 1) + (o.stride - r) * q * q);
  const std::int64_t overlap = (o.kernel + o.stride - 1) / o.stride;
  const auto windows = static_cast<double>(overlap);
  Block y(layer.out.size());
  for (std::int64_t e = 0; e < layer.out.size(); ++e) {
    const std::int64_t pixel = e / channels;
    const std::int64_t row = pixel / layer.out.columns * o.stride;
    const std::int64_t column = pixel % layer.out.columns * o.stride;
    double* const sum = y.at(e);
    for (std::int64_t k = 0; k < o.kernel * o.kernel; ++k) {
      const std::int64_t from = (row + k / o.kernel) * layer.in.columns + column + k % o.kernel;
      const double* const v = x.at(from * channels + e % channels);
      if (o.op == "avgpool") add_lanes(v, sum);
      if (o.op == "l2pool") for_lanes([&](std::int64_t l) { sum[l] += v[l] * v[l]; });
    }
    if (o.op == "avgpool") for_lanes([&](std::int64_t l) { sum[l] /= whole; });
    if (o.op == "l2pool") for_lanes([&](std::int64_t l) { sum[l] = std::sqrt(sum[l]) / windows; });
  }
  return y;
}

Block globally_pooled(const Layer& layer, const Block& x) {
  Block y(layer.in.channels);
  for (std::int64_t e = 0; e < layer.in.size(); ++e)
    add_lanes(x.at(e), y.at(e % layer.in.channels));
  const double root = std::sqrt(static_cast<double>(layer.in.pixels()));
  for (std::int64_t c = 0; c < layer.in.channels; ++c) {
    double* const sum = y.at(c);
    for_lanes([&](std::int64_t l) { sum[l] /= root; });
  }
  return y;
}

Block layer_centered(const Layer& layer, const Block& x) {
  const Extents& in = layer.in;
  const std::string& over = layer.op->over;
  // Of an entry: the mean that it belongs to.
  const auto mean_of = [&](std::int64_t e) {
    return over == "pixels" ? e % in.channels : over == "channels" ? e / in.channels : 0;
  };
  const std::int64_t means = over == "pixels" ? in.channels : over == "channels" ? in.pixels() : 1;
  const std::int64_t entries = in.size() / means;
  const auto count = static_cast<double>(entries);
  Block sums(means);
  for (std::int64_t e = 0; e < in.size(); ++e) {
    add_lanes(x.at(e), sums.at(mean_of(e)));
  }
  Block y = x;
  for (std::int64_t e = 0; e < in.size(); ++e) {
    const double* const sum = sums.at(mean_of(e));
    double* const v = y.at(e);
    for_lanes([&](std::int64_t l) { v[l] -= sum[l] / count; });
  }
  return y;
}

Block run(const Network& network, const Block& x);

Block summed(const Layer& layer, const Block& x) {
  Block y(layer.out.size());
  for (const Network& branch : layer.branches) {
    const Block part = run(branch, x);
    for (std::int64_t e = 0; e < layer.out.size(); ++e) {
      add_lanes(part.at(e), y.at(e));
    }
  }
  return y;
}

Block concatenated(const Layer& layer, const Block& x) {
  Extents input = layer.in;
  const bool shared = layer.op->op == "concat";
  if (!shared) input.channels /= std::ssize(layer.branches);
  Block y(layer.out.size());
  std::int64_t first = 0;
  for (std::int64_t b = 0; b < std::ssize(layer.branches); ++b) {
    Block share = x;
    for (std::int64_t e = 0; !shared && e < input.size(); ++e) {
      const std::int64_t channel = b * input.channels + e % input.channels;
      copy(x.at(e / input.channels * layer.in.channels + channel), share.at(e));
    }
    const Network& branch = layer.branches[b];
    const std::int64_t channels = branch.empty() ? input.channels : branch.back().out.channels;
    const Block part = run(branch, share);
    for (std::int64_t e = 0; e < layer.out.pixels() * channels; ++e) {
      copy(part.at(e), y.at(e / channels * layer.out.channels + first + e % channels));
    }
    first += channels;
  }
  return y;
}

Block convex(const Layer& layer, const Block& x) {
  const double share = 1 / (1 + std::exp(-layer.mix));
  Block y = run(layer.branches[0], x);
  for (std::int64_t e = 0; e < layer.out.size(); ++e) {
    double* const v = y.at(e);
    const double* const start = x.at(e);
    for_lanes([&](std::int64_t l) { v[l] = start[l] + share * (v[l] - start[l]); });
  }
  return y;
}

Block apply(const Layer& layer, const Block& x) {
  const std::string& op = layer.op->op;
  if (op == "linear") return linear(layer, x);
  if (op == "conv") return convolution(layer, x);
  if (op == "sort" || op == "maxout") return sorted(layer, x);
  if (op == "abs" || op == "relu" || op == "leaky_relu" || op == "gain") return pointwise(layer, x);
  if (op == "l2pool" || op == "avgpool") return pooled(layer, x);
  if (op == "global_avgpool") return globally_pooled(layer, x);
  if (op == "layer_center") return layer_centered(layer, x);
  if (op == "sum") return summed(layer, x);
  if (op == "concat" || op == "split") return concatenated(layer, x);
  if (op == "convex") return convex(layer, x);
  if (op == "nact") return n_activation(layer, x);
  if (op == "householder") return householder(layer, x);
  if (op == "potential") return potential(layer, x);
  if (op == "skew_exp") return skew_exp(layer, x);
  if (op == "frequencies") return frequencies(layer, x);
  if (op == "sandwich" || op == "frequency_sandwich") return sandwich(layer, x);
  if (op != "center" && op != "bias" && op != "affine") return moved(layer, x);
  Block y = op == "affine" ? scaled(layer, x) : x;
  add_bias(layer, y);
  return y;
}

Block run(const Network& network, const Block& x) {
  Block y = x;
  for (const Layer& layer : network) y = apply(layer, y);
  return y;
}

}  // namespace

std::vector<std::vector<double>> forward(const Network& network,
                                         const std::vector<std::vector<double>>& inputs) {
  std::vector<std::vector<double>> outputs;
  for (std::size_t first = 0; first < inputs.size(); first += lanes) {
    const std::size_t count = std::min<std::size_t>(lanes, inputs.size() - first);
    Block x(std::ssize(inputs[first]));
    for (std::size_t l = 0; l < count; ++l) {
      for (std::size_t e = 0; e < inputs[first].size(); ++e) x.at(e)[l] = inputs[first + l][e];
    }
    const Block y = run(network, x);
    const std::int64_t entries =
        network.empty() ? std::ssize(inputs[first]) : network.back().out.size();
    for (std::size_t l = 0; l < count; ++l) {
      std::vector<double>& output = outputs.emplace_back();
      for (std::int64_t e = 0; e < entries; ++e) output.push_back(y.at(e)[l]);
    }
  }
  return outputs;
}

}  // namespace isotape::verify
