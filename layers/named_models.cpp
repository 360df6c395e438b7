#include <algorithm>

#include <isotape/core/error.hpp>
#include <isotape/layers/model.hpp>

namespace isotape {
namespace {

// Appends layers, each but the last linear one followed by an activation act1, act2, ...
class Chain {
 public:
  Chain(std::string name, bool plain) : spec_{std::move(name), {}}, plain_(plain) {}

  Chain& conv(std::int64_t out, std::int64_t kernel, std::int64_t stride) {
    LayerSpec layer{"conv" + std::to_string(++convs_), plain_ ? "conv" : "bcop", {}};
    layer.options = {{"out", out}, {"kernel", kernel}, {"stride", stride}};
    spec_.layers.push_back(std::move(layer));
    return activate();
  }
  Chain& flatten() {
    spec_.layers.push_back({"flatten", "flatten", {}});
    return *this;
  }
  Chain& dense(std::int64_t out) {
    linear(OptionValue(out));
    return activate();
  }
  ModelSpec classes() {
    linear(OptionValue(std::string("classes")));
    return std::move(spec_);
  }

 private:
  void linear(OptionValue out) {
    LayerSpec layer{"fc" + std::to_string(++denses_), "linear", {}};
    layer.options = {{"out", std::move(out)},
                     {"constraint", std::string(plain_ ? "unconstrained" : "bjorck")}};
    spec_.layers.push_back(std::move(layer));
  }
  Chain& activate() {
    spec_.layers.push_back({"act" + std::to_string(++activations_), "maxmin", {}});
    return *this;
  }
  ModelSpec spec_;
  bool plain_;
  int convs_ = 0;
  int denses_ = 0;
  int activations_ = 0;
};

ModelSpec small(std::string name, bool plain) {
  return Chain(std::move(name), plain).conv(16, 4, 2).conv(32, 4, 2).flatten().dense(100).classes();
}

ModelSpec large(std::string name, bool plain) {
  return Chain(std::move(name), plain)
      .conv(32, 3, 1)
      .conv(32, 4, 2)
      .conv(64, 3, 1)
      .conv(64, 4, 2)
      .flatten()
      .dense(512)
      .dense(512)
      .classes();
}

ModelSpec fc3(std::string name, bool plain) {
  return Chain(std::move(name), plain).flatten().dense(1024).dense(1024).dense(1024).classes();
}

ModelSpec mlp3(std::string name, bool plain) {
  return Chain(std::move(name), plain).flatten().dense(1024).dense(1024).classes();
}

struct Named {
  ModelInfo info;
  ModelSpec (*make)(std::string, bool);
  bool plain;
};

const std::vector<Named>& table() {
  static const std::vector<Named> models = {
      {{"bcop-small", "2 BCOP convolutions, 2 orthogonal dense layers [Li 2019, Small]"},
       small,
       false},
      {{"bcop-large", "4 BCOP convolutions, 3 orthogonal dense layers [Li 2019, Large]"},
       large,
       false},
      {{"fc-3", "orthogonal dense layers 1024-1024-1024-classes [Anil 2019]"}, fc3, false},
      {{"mlp-3", "orthogonal dense layers 1024-1024-classes"}, mlp3, false},
      {{"plain-small", "bcop-small without constraints"}, small, true},
      {{"plain-large", "bcop-large without constraints"}, large, true},
      {{"plain-fc-3", "fc-3 without constraints"}, fc3, true},
      {{"plain-mlp-3", "mlp-3 without constraints"}, mlp3, true},
  };
  return models;
}

}  // namespace

const std::vector<ModelInfo>& model_infos() {
  static const std::vector<ModelInfo> infos = [] {
    std::vector<ModelInfo> list;
    for (const Named& model : table()) list.push_back(model.info);
    return list;
  }();
  return infos;
}

ModelSpec named_model(std::string_view name) {
  const auto found = std::find_if(table().begin(), table().end(),
                                  [&](const Named& model) { return model.info.name == name; });
  if (found == table().end()) {
    std::string names;
    for (const Named& model : table()) {
      names += (names.empty() ? "" : ", ") + std::string(model.info.name);
    }
    throw ValueError(message("model: expected one of ", names, ", got '", name, "'"));
  }
  return found->make(std::string(name), found->plain);
}

}  // namespace isotape
