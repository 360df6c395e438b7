#include <isotape/layers/comparison_nets.hpp>

#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/layers/chain.hpp>

namespace isotape {

ModelSpec lipconvnet(std::string name, std::string_view layer, int depth) {
  require<ValueError>(depth >= 5 && depth <= 40 && depth % 5 == 0,
                      "lipconvnet: expected a depth of 5, 10, ..., 40, got ", depth);
  Parts parts = Parts::with(layer);
  if (layer == "soc") {
    parts.convolution.options = {{"padding", std::string("zero")},
                                 {"terms", std::int64_t{13}},
                                 {"train_terms", std::int64_t{6}}};
  }
  Chain chain(std::move(name), parts);
  std::int64_t width = 32;
  for (int block = 0; block < 5; ++block) {
    for (int i = 1; i < depth / 5; ++i) chain.conv(width, 3).activate();
    width *= 2;
    chain.conv(width, block < 4 ? 6 : 2, 2).activate();
  }
  chain.add("flatten", "flatten");
  if (layer != "soc") return chain.classes();
  return chain
      .add("fc1", "soc",
           {{"out", std::string("classes")},
            {"terms", std::int64_t{13}},
            {"train_terms", std::int64_t{6}}})
      .end();
}

ModelSpec compared_net(std::string name, std::string_view layer, std::int64_t width) {
  Chain chain(std::move(name), Parts::with(layer));
  chain.conv(width, 1).activate();
  for (int block = 1; block <= 5; ++block, width *= 2) {
    for (int i = 0; i < 5; ++i) chain.conv(width, block < 5 ? 3 : 1).activate();
    const std::string number = std::to_string(block);
    chain.add("half" + number, "first-channels", {{"out", width / 2}});
    chain.add("down" + number, "pixel-unshuffle", {{"factor", std::int64_t{2}}});
  }
  return chain.conv(width, 1)
      .add("flatten", "flatten")
      .add("logits", "first-channels", {{"out", std::string("classes")}})
      .end();
}

ModelSpec aol_mlp(std::string name) {
  Parts parts;
  parts.dense = {"", "linear", {{"constraint", std::string("aol")}}};
  Chain chain(std::move(name), parts);
  chain.add("flatten", "flatten");
  for (int i = 0; i < 16; ++i) {
    chain.dense(std::int64_t{3072});
    if (i < 15) chain.activate();
  }
  return chain.add("logits", "first-channels", {{"out", std::string("classes")}}).end();
}

ModelSpec sll_net(std::string name, const SllExtents& extents, bool unit_rows) {
  Chain chain(std::move(name), {});
  const std::pair<std::string, OptionValue> zero{"padding", std::string("zero")};
  for (int i = 1; i <= extents.convolutions; ++i) {
    chain.add("conv" + std::to_string(i), "sll",
              {{"out", extents.channels}, {"inner", std::int64_t{5}}, zero});
  }
  chain.add("pool", "avgpool", {{"kernel", std::int64_t{4}}}).add("flatten", "flatten");
  for (int i = 1; i <= extents.denses; ++i) {
    chain.add("fc" + std::to_string(i), "sll", {{"inner", std::int64_t{2048}}});
  }
  const char* const logits = unit_rows ? "unit-rows" : "first-channels";
  return chain.add("logits", logits, {{"out", std::string("classes")}}).end();
}

}  // namespace isotape
