#include <isotape/layers/lbdn_nets.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/layers/comparison_nets.hpp>

namespace isotape {
namespace {

using Options = std::vector<std::pair<std::string, OptionValue>>;

// Appends layers conv1, fc1, .., each with its activation.
class Net {
 public:
  Net(std::string name, std::string_view layer)
      : spec_{std::move(name), {}}, sandwich_(layer == "sandwich"), aol_(layer == "aol") {}

  bool is_sandwich() const { return sandwich_; }
  Net& conv(std::int64_t out, std::int64_t stride) {
    const std::string name = "conv" + std::to_string(++convs_);
    Options options = {{"out", out}, {"kernel", std::int64_t{3}}};
    if (aol_) {
      options.emplace_back("padding", std::string("zero"));
      return hidden({name, "aol", options});
    }
    options.emplace_back("stride", stride);
    return hidden({name, sandwich_ ? "sandwich-conv" : "cayley-conv", options});
  }
  // What takes the place of two strides in nets of AOL.
  Net& pool() {
    if (aol_) spec_.layers.push_back({"pool", "avgpool", {{"kernel", std::int64_t{4}}}});
    return *this;
  }
  Net& flatten() {
    spec_.layers.push_back({"flatten", "flatten", {}});
    return *this;
  }
  Net& dense(std::int64_t out) { return hidden(next_dense(out)); }
  ModelSpec classes() {
    LayerSpec layer = next_dense(std::string("classes"));
    if (sandwich_) layer.options.emplace_back("output", true);
    spec_.layers.push_back(std::move(layer));
    return std::move(spec_);
  }
  ModelSpec unit_rows() {
    LayerSpec layer = next_dense(std::string("classes"));
    layer.type = "unit-rows";
    spec_.layers.push_back(std::move(layer));
    return std::move(spec_);
  }

  // So many square layers, and the first of their channels.
  ModelSpec sll(std::int64_t width, int count) {
    for (int i = 1; i <= count; ++i) {
      const Options options = {{"out", width}, {"inner", width}};
      spec_.layers.push_back({"fc" + std::to_string(i), "sll", options});
    }
    const Options first = {{"out", std::string("classes")}};
    spec_.layers.push_back({"logits", "first-channels", first});
    return std::move(spec_);
  }

 private:
  LayerSpec next_dense(OptionValue out) {
    const std::string name = "fc" + std::to_string(++denses_);
    if (!aol_) return {name, sandwich_ ? "sandwich" : "cayley", {{"out", std::move(out)}}};
    return {name, "linear", {{"out", std::move(out)}, {"constraint", std::string("aol")}}};
  }
  Net& hidden(LayerSpec layer) {
    spec_.layers.push_back(std::move(layer));
    if (!sandwich_) {
      spec_.layers.push_back({"act" + std::to_string(++activations_), "relu", {}});
    }
    return *this;
  }
  ModelSpec spec_;
  bool sandwich_;
  bool aol_;
  int convs_ = 0;
  int denses_ = 0;
  int activations_ = 0;
};

}  // namespace

std::vector<std::string> kw_large_layers() { return {"sandwich", "cayley", "aol", "sll"}; }
std::vector<std::string> lbdn_net_layers() { return {"sandwich", "cayley", "sll"}; }
std::vector<std::string> lbdn_mlp_layers() { return {"sandwich", "cayley", "aol"}; }
std::vector<std::string> lbdn_curve_layers() { return {"sandwich", "cayley", "aol", "sll"}; }

ModelSpec kw_large(std::string name, std::string_view layer, std::int64_t w) {
  if (layer == "sll") {
    const SllExtents small = {};
    const SllExtents medium{.convolutions = 30, .channels = 60, .denses = 10};
    const SllExtents large{.convolutions = 90, .channels = 60, .denses = 15};
    return sll_net(std::move(name), w == 1 ? small : w == 2 ? medium : large, false);
  }
  Net net(std::move(name), layer);
  net.conv(32 * w, 1).conv(32 * w, 2).conv(64 * w, 1).conv(64 * w, 2).pool().flatten();
  return net.dense((net.is_sandwich() ? 512 : 640) * w).dense(512 * w).classes();
}

ModelSpec lbdn_net(std::string name, std::string_view layer) {
  if (layer == "sll") return sll_net(std::move(name), {}, true);
  Net net(std::move(name), layer);
  for (const std::int64_t width : {64, 128, 256}) net.conv(width, 1).conv(width, 2);
  return net.flatten().dense(2048).dense(2048).dense(1024).unit_rows();
}

ModelSpec lbdn_mlp(std::string name, std::string_view layer) {
  Net net(std::move(name), layer);
  const std::int64_t width = net.is_sandwich() ? 190 : 256;
  return net.flatten().dense(width).dense(width).dense(128).classes();
}

ModelSpec lbdn_curve(std::string name, std::string_view layer) {
  Net net(std::move(name), layer);
  net.flatten();
  if (layer == "sll") return net.sll(128, 8);
  for (int i = 0; i < 9; ++i) net.dense(net.is_sandwich() ? 86 : 128);
  return net.classes();
}

ModelSpec with_gamma(ModelSpec spec, double gamma) {
  require<ValueError>(gamma > 0 && std::isfinite(gamma), spec.name, ": expected gamma > 0, got ",
                      gamma);
  auto& layers = spec.layers;
  const auto first = std::find_if(layers.begin(), layers.end(),
                                  [](const LayerSpec& layer) { return layer.type != "flatten"; });
  require<ValueError>(first != layers.end(), spec.name, ": expected a layer with weights");
  const auto at = first - layers.begin();
  const Options share = {{"network", gamma}};
  layers.insert(layers.end() - 1, {"gain2", "gain", share});
  layers.insert(layers.begin() + at, {"gain1", "gain", share});
  return spec;
}

}  // namespace isotape
