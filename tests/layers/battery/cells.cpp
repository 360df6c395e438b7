#include <algorithm>
#include <array>
#include <set>
#include <tuple>

#include <isotape/core/error.hpp>
#include <isotape/layers/module.hpp>

#include "battery.hpp"

namespace isotape::battery {
namespace {

struct Extents {
  Shape input;
  std::int64_t out;
  std::int64_t kernel;
};

// c_in <, =, > c_out, odd channels, one channel, a 1x1 image, kernels larger than the image.
const std::vector<Extents> convolutions = {
    {{6, 6, 4}, 4, 3}, {{5, 7, 2}, 6, 3}, {{6, 4, 6}, 2, 2}, {{4, 6, 3}, 5, 4}, {{4, 4, 1}, 1, 3},
    {{1, 1, 4}, 4, 1}, {{2, 2, 2}, 2, 5}, {{1, 1, 2}, 4, 3}, {{8, 6, 1}, 4, 4},
};
const std::vector<Extents> denses = {
    {{6}, 6, 0}, {{3}, 8, 0}, {{8}, 3, 0}, {{7}, 5, 0}, {{1}, 1, 0}, {{5}, 1, 0}, {{1}, 4, 0},
};

std::vector<Extents> extents_of(const Row& row) {
  const LayerKind kind = find_layer_type(row.type)->kind;
  if (row.inputs.empty() && kind == LayerKind::dense) return denses;
  if (row.inputs.empty() && kind == LayerKind::convolution) return convolutions;
  std::vector<Extents> list;
  for (const Shape& input : row.inputs) list.push_back({input, 0, 0});
  return list;
}

using Values = std::array<std::size_t, 5>;  // of the axes shape, stride, padding, groups, dtype

std::vector<Values> product(const std::array<std::size_t, 5>& counts) {
  std::vector<Values> list{{}};
  for (std::size_t axis = 0; axis < counts.size(); ++axis) {
    std::vector<Values> longer;
    for (Values values : list) {
      for (values[axis] = 0; values[axis] < counts[axis]; ++values[axis]) longer.push_back(values);
    }
    list = std::move(longer);
  }
  return list;
}

using Pair = std::tuple<std::size_t, std::size_t, std::size_t, std::size_t>;

std::vector<Pair> pairs_of(const Values& v) {
  std::vector<Pair> pairs;
  for (std::size_t a = 0; a < v.size(); ++a) {
    for (std::size_t b = a + 1; b < v.size(); ++b) pairs.emplace_back(a, v[a], b, v[b]);
  }
  return pairs;
}

// Greedy: always the point that covers most of the pairs not covered yet.
std::vector<Values> pairwise(const std::vector<Values>& all) {
  std::set<Pair> missing;
  for (const Values& v : all) {
    for (const Pair& pair : pairs_of(v)) missing.insert(pair);
  }
  std::vector<Values> chosen;
  while (!missing.empty()) {
    const auto gain = [&](const Values& v) {
      const auto pairs = pairs_of(v);
      return std::count_if(pairs.begin(), pairs.end(),
                           [&](const Pair& pair) { return missing.count(pair) != 0; });
    };
    const auto best =
        std::max_element(all.begin(), all.end(),
                         [&](const Values& a, const Values& b) { return gain(a) < gain(b); });
    for (const Pair& pair : pairs_of(*best)) missing.erase(pair);
    chosen.push_back(*best);
  }
  return chosen;
}

std::vector<Cell> cells(const Row& row, bool subset) {
  const std::vector<Extents> extents = extents_of(row);
  const bool is_conv = find_layer_type(row.type)->kind == LayerKind::convolution;
  const std::size_t two = is_conv && row.inputs.empty() ? 2 : 1;
  std::vector<Values> points = product({extents.size(), two, two, two, 2});
  if (subset) points = pairwise(points);
  std::vector<Cell> list;
  for (const Values& v : points) {
    const Extents& e = extents[v[0]];
    list.push_back({e.input, e.out, e.kernel, static_cast<std::int64_t>(v[1] + 1), v[2] == 1,
                    static_cast<std::int64_t>(v[3] + 1), v[4] == 1 ? DType::f64 : DType::f32});
  }
  return list;
}

}  // namespace

LayerSpec spec_of(const Row& row, const Cell& cell) {
  LayerSpec spec{"layer", row.type, {}, row.layers};
  if (cell.out > 0) spec.options.emplace_back("out", cell.out);
  if (cell.kernel > 0) spec.options.emplace_back("kernel", cell.kernel);
  if (cell.stride > 1) spec.options.emplace_back("stride", cell.stride);
  if (cell.groups > 1) spec.options.emplace_back("groups", cell.groups);
  if (cell.zero_padding) spec.options.emplace_back("padding", std::string("zero"));
  for (const auto& option : row.options) spec.options.push_back(option);
  return spec;
}

std::vector<Cell> all_cells(const Row& row) { return cells(row, false); }
std::vector<Cell> pairwise_cells(const Row& row) { return cells(row, true); }

std::string Cell::text() const {
  std::string text = message(input, " ", dtype);
  if (out > 0) text += message(" -> ", out);
  if (kernel > 0) {
    text += message(", kernel ", kernel, ", stride ", stride, ", ",
                    zero_padding ? "zero" : "circular", ", groups ", groups);
  }
  return text;
}

std::string Row::name() const {
  std::string text = variant.empty() ? type : type + " " + variant;
  for (const auto& [key, value] : options) {
    text += " " + key;
    if (const auto* word = std::get_if<std::string>(&value)) text += "=" + *word;
    if (const auto* number = std::get_if<std::int64_t>(&value)) text += message("=", *number);
    if (const auto* real = std::get_if<double>(&value)) text += message("=", *real);
  }
  return text;
}

std::unique_ptr<Module> build(const Row& row, const Cell& cell, std::uint64_t seed) {
  auto module = build_layer(spec_of(row, cell), cell.input, 10, Rng(seed));
  module->output_shape(cell.input);
  if (cell.dtype == DType::f64) {
    for (const auto& [name, parameter] : module->parameters()) {
      const Tensor wide = parameter->value().to(DType::f64);
      parameter->write() = wide;
    }
    for (const auto& [name, tensor] : module->buffers()) *tensor = tensor->to(DType::f64);
  }
  return module;
}

// What a type cannot be told by option, it refuses by name; the rest is pinned in its row.
std::string refused_text(const Row& row, const Cell& cell) {
  for (const Refusal& refusal : row.refusals) {
    if (refusal.when(cell)) return refusal.text(cell);
  }
  const LayerType& type = *find_layer_type(row.type);
  if (cell.stride > 1 && !type.takes("stride")) return "got 'stride'";
  if (cell.groups > 1 && !type.takes("groups")) return "got 'groups'";
  if (cell.zero_padding && !type.takes("padding")) return "got 'padding'";
  return "";
}

std::vector<Row> joined(const std::vector<std::vector<Row>>& lists) {
  std::vector<Row> all;
  for (const std::vector<Row>& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

const std::vector<Row>& rows() {
  static const std::vector<Row> list =
      joined({dense_rows(), convolution_rows(), pointwise_rows(), composition_rows()});
  return list;
}

}  // namespace isotape::battery
