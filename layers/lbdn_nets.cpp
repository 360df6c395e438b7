#include <isotape/layers/lbdn_nets.hpp>

#include <utility>

namespace isotape {
namespace {

using Options = std::vector<std::pair<std::string, OptionValue>>;

// Appends layers conv1, fc1, .., each with its activation.
class Net {
 public:
  Net(std::string name, std::string_view layer)
      : spec_{std::move(name), {}}, sandwich_(layer == "sandwich") {}

  bool is_sandwich() const { return sandwich_; }
  Net& conv(std::int64_t out, std::int64_t stride) {
    const std::string name = "conv" + std::to_string(++convs_);
    const Options options = {{"out", out}, {"kernel", std::int64_t{3}}, {"stride", stride}};
    return hidden({name, sandwich_ ? "sandwich-conv" : "cayley-conv", options});
  }
  Net& flatten() {
    spec_.layers.push_back({"flatten", "flatten", {}});
    return *this;
  }
  Net& dense(std::int64_t out) { return hidden({next_dense(), dense_type(), {{"out", out}}}); }
  ModelSpec classes() {
    Options options = {{"out", std::string("classes")}};
    if (sandwich_) options.emplace_back("output", true);
    spec_.layers.push_back({next_dense(), dense_type(), options});
    return std::move(spec_);
  }

 private:
  std::string next_dense() { return "fc" + std::to_string(++denses_); }
  std::string dense_type() const { return sandwich_ ? "sandwich" : "cayley"; }
  Net& hidden(LayerSpec layer) {
    spec_.layers.push_back(std::move(layer));
    if (!sandwich_) {
      spec_.layers.push_back({"act" + std::to_string(++activations_), "relu", {}});
    }
    return *this;
  }
  ModelSpec spec_;
  bool sandwich_;
  int convs_ = 0;
  int denses_ = 0;
  int activations_ = 0;
};

}  // namespace

std::vector<std::string> lbdn_layers() { return {"sandwich", "cayley"}; }

ModelSpec kw_large(std::string name, std::string_view layer, std::int64_t w) {
  Net net(std::move(name), layer);
  net.conv(32 * w, 1).conv(32 * w, 2).conv(64 * w, 1).conv(64 * w, 2).flatten();
  return net.dense((net.is_sandwich() ? 512 : 640) * w).dense(512 * w).classes();
}

ModelSpec lbdn_mlp(std::string name, std::string_view layer) {
  Net net(std::move(name), layer);
  const std::int64_t width = net.is_sandwich() ? 190 : 256;
  return net.flatten().dense(width).dense(width).dense(128).classes();
}

ModelSpec lbdn_curve(std::string name, std::string_view layer) {
  Net net(std::move(name), layer);
  net.flatten();
  for (int i = 0; i < 9; ++i) net.dense(net.is_sandwich() ? 86 : 128);
  return net.classes();
}

}  // namespace isotape
