#include <isotape/layers/model.hpp>

#include <isotape/core/error.hpp>
#include <isotape/layers/gain.hpp>
#include <isotape/layers/registry.hpp>
#include <isotape/layers/site.hpp>

namespace isotape {

std::unique_ptr<Module> build_layer(const LayerSpec& layer, const Shape& input,
                                    std::int64_t classes, const Rng& rng) {
  OptionReader options(layer);
  Rng stream = rng.stream("init").stream(layer.name);
  Site site{layer, options, input, classes, stream};
  const LayerType& type = layer_type_of(layer);
  require<ValueError>(layer.layers.empty() || type.kind == LayerKind::composition, site.place(),
                      ": expected no layers within it, got ", layer.layers.size());
  std::unique_ptr<Module> module = type.build(site);
  options.finish();
  return module;
}

Sequential build_chain(const std::vector<LayerSpec>& layers, const Shape& input,
                       std::int64_t classes, const Rng& rng) {
  Sequential chain;
  Shape shape = input;
  for (const LayerSpec& layer : layers) {
    std::unique_ptr<Module> module = build_layer(layer, shape, classes, rng);
    try {
      shape = module->output_shape(shape);
    } catch (const ShapeError& error) {
      throw ShapeError(layer.name + ": " + error.what());
    }
    chain.add(layer.name, std::move(module));
  }
  return chain;
}

Model build_model(const ModelSpec& spec, const Shape& input, std::int64_t classes, const Rng& rng) {
  require<ValueError>(!spec.layers.empty(), "model ", spec.name, ": expected layers, got none");
  Model model{spec, input, classes,
              build_chain(with_shared_gains(spec.layers), input, classes, rng)};
  const Shape shape = model.net.output_shape(input);
  require<ShapeError>(shape == Shape{classes}, "model ", spec.name, ": expected logits [", classes,
                      "] for ", classes, " classes, got ", shape);
  return model;
}

}  // namespace isotape
