#include <isotape/layers/plain_nets.hpp>

#include <utility>

namespace isotape {
namespace {

using Layers = std::vector<LayerSpec>;

LayerSpec conv(std::string name, std::int64_t out, std::int64_t kernel, std::int64_t stride,
               bool bias) {
  return {std::move(name),
          "conv",
          {{"out", out},
           {"kernel", kernel},
           {"stride", stride},
           {"padding", std::string("zero")},
           {"bias", bias}}};
}

LayerSpec norm(std::string name) { return {std::move(name), "batch-norm", {}}; }
LayerSpec relu(std::string name) { return {std::move(name), "relu", {}}; }
LayerSpec chain(std::string name, Layers layers) {
  return {std::move(name), "sequential", {}, std::move(layers)};
}

LayerSpec logits() {
  return {"fc",
          "linear",
          {{"out", std::string("classes")}, {"constraint", std::string("unconstrained")}}};
}

// relu(body(x) + skip(x)), the skip a 1 x 1 convolution where the shape changes.
void append_block(Layers& layers, const std::string& name, std::int64_t width, std::int64_t stride,
                  bool changes) {
  const LayerSpec body =
      chain("body", {conv("conv1", width, 3, stride, false), norm("bn1"), relu("act1"),
                     conv("conv2", width, 3, 1, false), norm("bn2")});
  const LayerSpec skip =
      chain("skip", changes ? Layers{conv("conv", width, 1, stride, false), norm("bn")} : Layers{});
  layers.push_back({name, "sum", {}, {body, skip}});
  layers.push_back(relu(name + "act"));
}

}  // namespace

ModelSpec resnet18(std::string name) {
  Layers layers = {conv("conv1", 64, 3, 1, false), norm("bn1"), relu("act1")};
  std::int64_t width = 64;
  for (int stage = 1; stage <= 4; ++stage) {
    const std::string block = "stage" + std::to_string(stage) + "block";
    append_block(layers, block + "1", width, stage == 1 ? 1 : 2, stage > 1);
    append_block(layers, block + "2", width, 1, false);
    width *= 2;
  }
  // Our pooling is scaled to norm 1: 1/4 of it is the mean of 4 x 4 pixels.
  layers.push_back({"pool", "global-avgpool", {}});
  layers.push_back({"mean", "gain", {{"value", 0.25}}});
  layers.push_back(logits());
  return {std::move(name), std::move(layers)};
}

ModelSpec vgg19(std::string name) {
  Layers layers;
  int convs = 0;
  int pools = 0;
  const std::pair<std::int64_t, int> stages[] = {{64, 2}, {128, 2}, {256, 4}, {512, 4}, {512, 4}};
  for (const auto& [width, count] : stages) {
    for (int i = 0; i < count; ++i) {
      const std::string n = std::to_string(++convs);
      layers.push_back(conv("conv" + n, width, 3, 1, true));
      layers.push_back(norm("bn" + n));
      layers.push_back(relu("act" + n));
    }
    // The maximum of 2 x 2 pixels: of the four channels that they become.
    const std::string n = std::to_string(++pools);
    layers.push_back({"fold" + n, "pixel-unshuffle", {{"factor", std::int64_t{2}}}});
    layers.push_back(
        {"max" + n, "maxout", {{"size", std::int64_t{4}}, {"pairing", std::string("adjacent")}}});
  }
  layers.push_back({"flatten", "flatten", {}});
  layers.push_back(logits());
  return {std::move(name), std::move(layers)};
}

}  // namespace isotape
