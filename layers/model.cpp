#include <isotape/layers/model.hpp>

#include <isotape/core/error.hpp>
#include <isotape/layers/registry.hpp>
#include <isotape/layers/site.hpp>

namespace isotape {

std::unique_ptr<Module> build_layer(const LayerSpec& layer, const Shape& input,
                                    std::int64_t classes, const Rng& rng) {
  OptionReader options(layer);
  Rng stream = rng.stream("init").stream(layer.name);
  Site site{layer, options, input, classes, stream};
  std::unique_ptr<Module> module = layer_type_of(layer).build(site);
  options.finish();
  return module;
}

Model build_model(const ModelSpec& spec, const Shape& input, std::int64_t classes, const Rng& rng) {
  require<ValueError>(!spec.layers.empty(), "model ", spec.name, ": expected layers, got none");
  Model model{spec, input, classes, {}};
  Shape shape = input;
  for (const LayerSpec& layer : spec.layers) {
    std::unique_ptr<Module> module = build_layer(layer, shape, classes, rng);
    try {
      shape = module->output_shape(shape);
    } catch (const ShapeError& error) {
      throw ShapeError(layer.name + ": " + error.what());
    }
    model.net.add(layer.name, std::move(module));
  }
  require<ShapeError>(shape == Shape{classes}, "model ", spec.name, ": expected logits [", classes,
                      "] for ", classes, " classes, got ", shape);
  return model;
}

}  // namespace isotape
