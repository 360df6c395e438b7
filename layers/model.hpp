#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/layers/model_spec.hpp>
#include <isotape/layers/sequential.hpp>

namespace isotape {

/// A network built for a data set: its layers, and what it expects and returns.
struct Model {
  ModelSpec spec;
  Shape input;               ///< of one sample, [H, W, C] or [n]
  std::int64_t classes = 0;  ///< number of logits
  Sequential net;
};

/// Builds a model for inputs of a shape. Every layer draws its initial values from a stream of its
/// own name, so that they do not depend on the other layers.
///
/// An output extent may be the word "classes". A free last layer, a frozen one and all others
/// follow the layer's own rules.
/// @throws ValueError  for an unknown type or option, naming the layer
/// @throws ShapeError  if a layer does not accept its input, or the logits are not [classes]
Model build_model(const ModelSpec& spec, const Shape& input, std::int64_t classes, const Rng& rng);

/// Builds one layer for inputs of a shape, with initial values as in a model.
/// @throws ValueError  for an unknown type or option, or layers within one that takes none,
///                     ShapeError for another rank
std::unique_ptr<Module> build_layer(const LayerSpec& layer, const Shape& input,
                                    std::int64_t classes, const Rng& rng);

/// Builds layers one behind the other, each for what the one before it returns; none: the identity.
/// @throws ValueError, ShapeError  as build_layer(), naming the layer
Sequential build_chain(const std::vector<LayerSpec>& layers, const Shape& input,
                       std::int64_t classes, const Rng& rng);

/// The models known by name.
struct ModelInfo {
  std::string_view name;
  std::string_view description;
  /// Types of layers; if there are any, the models are called "name:<layer>", one for each.
  std::vector<std::string> layers;
};
const std::vector<ModelInfo>& model_infos();
/// All names, "bcop-small", "small:bcop", ...
std::vector<std::string> model_names();

/// The layers of a named model.
/// @throws ValueError  listing the names
ModelSpec named_model(std::string_view name);

}  // namespace isotape
