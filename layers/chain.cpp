#include <isotape/layers/chain.hpp>

#include <isotape/core/error.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {
namespace {

bool takes(const LayerSpec& part, std::string_view option) {
  const LayerType* type = find_layer_type(part.type);
  return type == nullptr || type->takes(option);
}

}  // namespace

Parts Parts::plain() {
  Parts parts;
  parts.convolution = {"", "conv", {}};
  parts.dense.options = {{"constraint", std::string("unconstrained")}};
  return parts;
}

Parts Parts::with(std::string_view type) {
  const LayerType* known = find_layer_type(type);
  require<ValueError>(known != nullptr, "model: expected a type of `isotape layers`, got '", type,
                      "'");
  Parts parts;
  const LayerSpec part{"", std::string(type), {}};
  switch (known->kind) {
    case LayerKind::convolution:
      parts.convolution = part;
      break;
    case LayerKind::dense:
      parts.dense = part;
      break;
    case LayerKind::activation:
      parts.activation = part;
      break;
    default:
      throw ValueError(
          message("model: expected a dense layer, a convolution or an activation, got ", type,
                  ", of kind ", name(known->kind)));
  }
  return parts;
}

// A part of the extents asked for, or one behind the default that sets them.
void Chain::sized(const std::string& name, const LayerSpec& part, const LayerSpec& fallback,
                  const std::vector<std::pair<std::string, OptionValue>>& extents) {
  const bool fits = takes(part, "out");
  LayerSpec layer = fits ? part : fallback;
  layer.name = name;
  layer.options.insert(layer.options.begin(), extents.begin(), extents.end());
  spec_.layers.push_back(std::move(layer));
  if (fits) return;
  LayerSpec behind = part;
  behind.name = name + "b";
  spec_.layers.push_back(std::move(behind));
}

Chain& Chain::conv(std::int64_t out, std::int64_t kernel, std::int64_t stride) {
  const std::string number = std::to_string(++convs_);
  const LayerSpec& part = parts_.convolution;
  if (stride > 1 && takes(part, "out") && !takes(part, "stride")) {
    add("down" + number, "pixel-unshuffle", {{"factor", stride}});
    kernel /= stride;
    stride = 1;
  }
  std::vector<std::pair<std::string, OptionValue>> extents = {{"out", out}, {"kernel", kernel}};
  if (!takes(part, "out") || takes(part, "stride")) extents.emplace_back("stride", stride);
  sized("conv" + number, part, Parts{}.convolution, extents);
  return *this;
}

Chain& Chain::dense(OptionValue out) {
  sized("fc" + std::to_string(++denses_), parts_.dense, Parts{}.dense, {{"out", std::move(out)}});
  return *this;
}

Chain& Chain::activate() {
  LayerSpec layer = parts_.activation;
  layer.name = "act" + std::to_string(++activations_);
  spec_.layers.push_back(std::move(layer));
  return *this;
}

Chain& Chain::add(std::string name, std::string type,
                  std::vector<std::pair<std::string, OptionValue>> options) {
  spec_.layers.push_back({std::move(name), std::move(type), std::move(options)});
  return *this;
}

ModelSpec Chain::classes() {
  dense(std::string("classes"));
  return end();
}

}  // namespace isotape
