#include <isotape/apps/verify/block.hpp>

#include <cmath>

#include <isotape/apps/verify/frequencies.hpp>

namespace isotape::verify {
namespace {

// The inputs of one output pixel of a group, taps first: zeros outside, or the far side.
void gather(const Layer& layer, std::int64_t group, std::int64_t p, std::int64_t q, const Block& x,
            Block& patch) {
  const Operation& o = *layer.op;
  const std::int64_t inputs = layer.filters[1];
  const auto around = [](std::int64_t i, std::int64_t n) { return (i % n + n) % n; };
  std::int64_t to = 0;
  for (std::int64_t a = 0; a < layer.filters[2]; ++a) {
    for (std::int64_t c = 0; c < layer.filters[3]; ++c, to += inputs) {
      std::int64_t row = p * o.stride + a * o.dilation - layer.before[0];
      std::int64_t column = q * o.stride + c * o.dilation - layer.before[1];
      const bool inside =
          0 <= row && row < layer.in.rows && 0 <= column && column < layer.in.columns;
      if (!inside && !o.circular) {
        std::fill_n(patch.at(to), inputs * lanes, 0.0);
        continue;
      }
      row = around(row, layer.in.rows);
      column = around(column, layer.in.columns);
      const std::int64_t from =
          (row * layer.in.columns + column) * layer.in.channels + group * inputs;
      std::copy_n(x.at(from), inputs * lanes, patch.at(to));
    }
  }
}

double activated(const std::string& name, double u) {
  if (name == "relu") return u > 0 ? u : 0;
  if (name == "softplus") return std::max(u, 0.0) + std::log1p(std::exp(-std::abs(u)));
  if (name == "tanh") return std::tanh(u);
  if (name == "sigmoid") return 1 / (1 + std::exp(-u));
  return u;
}

}  // namespace

void add_bias(const Layer& layer, Block& y) {
  for (std::int64_t e = 0; e < layer.out.size(); ++e) {
    const double bias = layer.bias[e % layer.out.channels];
    double* const entry = y.at(e);
    for_lanes([&](std::int64_t l) { entry[l] += bias; });
  }
}

Block linear(const Layer& layer, const Block& x) {
  Block y(layer.out.size());
  multiply(layer.out.channels, layer.products, layer.weight.data(), x.at(0), y.at(0));
  add_bias(layer, y);
  return y;
}

Block convolution(const Layer& layer, const Block& x) {
  Block y(layer.out.size());
  Block patch(layer.products);
  const std::int64_t filters = layer.out.channels / layer.op->groups;
  for (std::int64_t p = 0; p < layer.out.pixels(); ++p) {
    for (std::int64_t group = 0; group < layer.op->groups; ++group) {
      gather(layer, group, p / layer.out.columns, p % layer.out.columns, x, patch);
      multiply(filters, layer.products, layer.weight.data() + group * filters * layer.products,
               patch.at(0), y.at(p * layer.out.channels + group * filters));
    }
  }
  add_bias(layer, y);
  return y;
}

// x - V^T relu(V x + c)
Block potential(const Layer& layer, const Block& x) {
  Block hidden = convolution(layer.maps[0], x);
  for (std::int64_t e = 0; e < layer.maps[0].out.size(); ++e) {
    double* const v = hidden.at(e);
    for_lanes([&](std::int64_t l) { v[l] = v[l] > 0 ? v[l] : 0; });
  }
  Block y = convolution(layer.maps[1], hidden);
  for (std::int64_t e = 0; e < layer.in.size(); ++e) {
    double* const v = y.at(e);
    const double* const start = x.at(e);
    for_lanes([&](std::int64_t l) { v[l] = start[l] - v[l]; });
  }
  return y;
}

// z = x + L z / i, i = terms - 1 .. 1
Block skew_exp(const Layer& layer, const Block& x) {
  Block z = x;
  for (std::int64_t i = layer.op->terms - 1; i > 0; --i) {
    z = convolution(layer.maps[0], z);
    const auto divisor = static_cast<double>(i);
    for (std::int64_t e = 0; e < layer.in.size(); ++e) {
      double* const v = z.at(e);
      const double* const start = x.at(e);
      for_lanes([&](std::int64_t l) { v[l] = start[l] + v[l] / divisor; });
    }
  }
  return z;
}

// A^T s sigma((2 B x + s b) / s)
Block sandwich(const Layer& layer, const Block& x) {
  const std::string& name = layer.op->activation;
  const bool homogeneous = name == "relu" || name == "identity";
  const auto product = layer.op->op == "sandwich" ? linear : frequencies;
  Block z = product(layer.maps[0], x);
  for (std::int64_t e = 0; e < layer.out.size(); ++e) {
    const double s = layer.scale[e % layer.out.channels];
    const double shift = s * layer.bias[e % layer.out.channels];
    double* const v = z.at(e);
    for_lanes([&](std::int64_t l) {
      const double t = 2 * v[l] + shift;
      v[l] = homogeneous ? activated(name, t) : s * activated(name, t / s);
    });
  }
  return product(layer.maps[1], z);
}

}  // namespace isotape::verify
