// The checker's shapes, bounds, rounding and forward pass against the engine's, on every registered
// type that a certificate has operations for.

#include <doctest/doctest.h>
#include <cmath>
#include <set>

#include <isotape/apps/verify/forward.hpp>
#include <isotape/apps/verify/network.hpp>
#include <isotape/apps/verify/rounding.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/rounding.hpp>

#include "../../layers/battery/battery.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("apps/verify/engine");

namespace {

verify::Chain chain_of(const Operations& operations);

void set_option(verify::Operation& o, const std::string& key, const OptionValue& value) {
  const std::map<std::string, std::int64_t verify::Operation::*> integers = {
      {"stride", &verify::Operation::stride}, {"dilation", &verify::Operation::dilation},
      {"groups", &verify::Operation::groups}, {"size", &verify::Operation::size},
      {"factor", &verify::Operation::factor}, {"channels", &verify::Operation::channels},
      {"kernel", &verify::Operation::kernel}, {"distance", &verify::Operation::distance},
      {"terms", &verify::Operation::terms},
  };
  if (integers.count(key) != 0) {
    o.*integers.at(key) = std::get<std::int64_t>(value);
  } else if (key == "padding") {
    o.circular = std::get<std::string>(value) == "circular";
  } else if (key == "pairing") {
    o.adjacent = std::get<std::string>(value) == "adjacent";
  } else if (key == "over") {
    o.over = std::get<std::string>(value);
  } else if (key == "activation") {
    o.activation = std::get<std::string>(value);
  } else {
    REQUIRE((key == "slope" || key == "value"));
    (key == "slope" ? o.slope : o.value) = std::get<double>(value);
  }
}

verify::Operation converted(const Operation& operation) {
  verify::Operation o;
  o.name = operation.name;
  o.op = operation.op;
  for (const auto& [key, value] : operation.options) set_option(o, key, value);
  for (const auto& [role, key] : operation.tensors) {
    std::map<std::string, std::string*> keys = {
        {"weight", &o.weight}, {"bias", &o.bias},   {"mean", &o.mean}, {"mix", &o.mix},
        {"lower", &o.lower},   {"upper", &o.upper}, {"psi", &o.psi},   {"theta", &o.theta},
        {"scale", &o.scale},   {"shift", &o.shift}};
    REQUIRE(keys.count(role) == 1);
    *keys[role] = key;
  }
  o.before = {operation.border.top, operation.border.left};
  o.after = {operation.border.bottom, operation.border.right};
  o.sigma = {operation.sigma.lower, operation.sigma.upper};
  for (const Operations& branch : operation.branches) o.branches.push_back(chain_of(branch));
  return o;
}

verify::Chain chain_of(const Operations& operations) {
  verify::Chain chain;
  for (const Operation& operation : operations) chain.push_back(converted(operation));
  return chain;
}

void add(verify::WeightsFile& weights, const std::string& name, const Tensor& tensor) {
  if (tensor.dtype() != DType::f32) return;
  verify::StoredTensor& stored = weights.tensors[name];
  stored.shape.assign(tensor.shape().begin(), tensor.shape().end());
  stored.entries.assign(tensor.data<float>(), tensor.data<float>() + tensor.size());
}

// What a file of the module would hold; what is folded last, for it has the names of parameters.
verify::WeightsFile weights_of(Module& module) {
  verify::WeightsFile weights;
  ParameterList parameters;
  module.collect("layer.", parameters);
  for (const NamedParameter& p : parameters) add(weights, p.name, p.parameter->value());
  BufferList buffers;
  module.collect("layer.", buffers);
  for (const NamedBuffer& buffer : buffers) add(weights, buffer.name, *buffer.tensor);
  std::vector<NamedTensor> folded;
  module.collect_folded("layer.", folded);
  for (const NamedTensor& tensor : folded) add(weights, tensor.name, tensor.tensor);
  return weights;
}

verify::Extents extents_of(const Shape& shape) {
  return shape.rank() == 1 ? verify::Extents{1, 1, shape[0], true}
                           : verify::Extents{shape[0], shape[1], shape[2], false};
}

Shape batched(const Shape& sample, std::int64_t n) {
  std::vector<std::int64_t> extents{n};
  extents.insert(extents.end(), sample.begin(), sample.end());
  return Shape(extents);
}

// 20 samples: a whole block and a part of one.
void check_forward(const Module& module, const verify::Network& network, const Shape& input,
                   double error_per_norm, Rng& rng) {
  constexpr std::int64_t samples = 20;
  const Paused paused;
  const Tensor x = random_normal(rng, batched(input, samples), 1.0, DType::f32).to(DType::f64);
  const Tensor y = module.materialize(DType::f64)->forward(x).value();
  std::vector<std::vector<double>> inputs(samples);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    inputs[i / input.size()].push_back(x.data<double>()[i]);
  }
  const auto outputs = verify::forward(network, inputs);
  REQUIRE(std::ssize(outputs) == samples);
  const std::int64_t size = y.size() / samples;
  for (std::int64_t i = 0; i < samples; ++i) {
    REQUIRE(std::ssize(outputs[i]) == size);
    double distance = 0;
    for (std::int64_t e = 0; e < size; ++e) {
      distance = std::hypot(distance, outputs[i][e] - y.data<double>()[i * size + e]);
    }
    double norm = 0;
    for (const double entry : inputs[i]) norm = std::hypot(norm, entry);
    CHECK(distance <= 2 * error_per_norm * (norm + 1));
  }
}

void check_rounding(const Operations& operations, const verify::Network& network) {
  const std::pair<Arithmetic, verify::Format> formats[] = {{Arithmetic::f64(), verify::f64_format},
                                                           {Arithmetic::f32(), verify::f32_format}};
  for (const auto& [arithmetic, format] : formats) {
    for (const verify::Accuracy start : {verify::Accuracy{10, 0}, {1e-30, 1e-35}}) {
      const Magnitude engine = rounding(operations, {start.norm, start.error}, arithmetic);
      const verify::Accuracy own = verify::propagate(network, start, format);
      CHECK(own.norm == doctest::Approx(engine.norm).epsilon(1e-9));
      CHECK(own.error == doctest::Approx(engine.error).epsilon(1e-6));
    }
  }
}

void check_cell(const battery::Row& row, const battery::Cell& cell, Rng& rng,
                std::set<std::string>& seen) {
  const std::unique_ptr<Module> module = battery::build(row, cell, 4);
  module->prepare();
  Operations operations;
  try {
    module->collect_operations("layer.", cell.input, operations);
  } catch (const ValueError&) {
    return;  // a type without operations
  }
  const verify::Chain chain = chain_of(operations);
  const verify::WeightsFile weights = weights_of(*module);
  const verify::Network network = verify::resolve(chain, extents_of(cell.input), weights);
  const verify::Extents out = network.empty() ? extents_of(cell.input) : network.back().out;
  CHECK(out == extents_of(module->output_shape(cell.input)));
  CHECK(verify::lipschitz(network, network.size()) ==
        doctest::Approx(chain_bound(operations)).epsilon(1e-12));
  check_rounding(operations, network);
  check_forward(*module, network, cell.input,
                verify::propagate(network, {1, 0}, verify::f64_format).error, rng);
  verify::for_each_layer(network, [&](const verify::Layer& layer) {
    seen.insert(layer.op->op);
    if (!verify::has_sigma(*layer.op)) return;
    const verify::Enclosure own = verify::own_sigma(layer, weights);
    const verify::Enclosure& engine = layer.op->sigma;
    // Both contain the truth: they overlap, and where one is tight the other is near.
    CHECK(own.lower <= engine.upper);
    CHECK(engine.lower <= own.upper);
    if (engine.upper < 1 + 1e-6) CHECK(own.upper < 1 + 0.05);
  });
}

}  // namespace

TEST_CASE("every type of layer: shapes, bounds, rounding and outputs are the engine's") {
  Rng rng(23);
  std::set<std::string> seen;
  for (const battery::Row& row : battery::rows()) {
    const std::string name = row.name();
    CAPTURE(name);
    for (const battery::Cell& cell : battery::pairwise_cells(row)) {
      if (cell.dtype != DType::f32 || !battery::refused_text(row, cell).empty()) continue;
      const std::string at = cell.text();
      CAPTURE(at);
      check_cell(row, cell, rng, seen);
    }
  }
  const std::set<std::string> all = {"linear",
                                     "conv",
                                     "sort",
                                     "maxout",
                                     "abs",
                                     "relu",
                                     "leaky_relu",
                                     "flatten",
                                     "pixel_unshuffle",
                                     "pixel_shuffle",
                                     "channel_pad",
                                     "channel_shuffle",
                                     "first_channels",
                                     "l2pool",
                                     "avgpool",
                                     "global_avgpool",
                                     "upsample",
                                     "center",
                                     "layer_center",
                                     "gain",
                                     "sum",
                                     "concat",
                                     "split",
                                     "convex",
                                     "bias",
                                     "shift",
                                     "nact",
                                     "potential",
                                     "skew_exp",
                                     "sandwich",
                                     "affine",
                                     "householder",
                                     "frequencies",
                                     "frequency_sandwich"};
  for (const std::string& op : all) {
    CAPTURE(op);
    CHECK(seen.count(op) == 1);
  }
}

TEST_SUITE_END();
