#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace isotape {

class Module;
class Parametrization;
struct LayerSpec;
struct Site;

enum class LayerKind : std::uint8_t {
  dense,
  convolution,
  activation,
  pooling,
  shape,
  normalization,
  composition,
};
/// "dense", "convolution", ...
std::string_view name(LayerKind kind);

/// What a type of layers promises for all its weights in exact arithmetic; how far the weights in
/// use are from it, a layer's bound and spectrum tell.
enum class LayerProperty : std::uint8_t {
  gradient_norm_preserving,  ///< all singular values of the Jacobian are 1
  one_lipschitz,             ///< none is above 1
  bounded,                   ///< a proved bound, which may be any number
};
/// "GNP", "1-Lipschitz", "bounded".
std::string_view name(LayerProperty property);

/// A type of layers that a model file may use: what `isotape layers` prints, and how one is built.
/// Defined beside the layer and listed in registry.cpp.
struct LayerType {
  std::string_view type;
  LayerKind kind;
  LayerProperty property;
  std::string_view options;  ///< names, separated by ", "; `constraint` stands for its own, too
  std::string_view description;
  std::string_view cost;    ///< multiply-adds beyond those of a plain layer, per step; or ""
  std::string_view source;  ///< paper; or ""
  std::unique_ptr<Module> (*build)(Site&);
  /// Reads the options of a constraint that any dense layer or convolution may take by the name of
  /// this type; null if the type is none.
  Parametrization (*constraint)(Site&) = nullptr;

  /// The names of the options, with those of all constraints if `constraint` is one.
  std::vector<std::string_view> option_names() const;
  bool takes(std::string_view option) const;
};

/// All types, in the order in which they are printed.
std::span<const LayerType* const> layer_types();

/// The type of this name, or null.
const LayerType* find_layer_type(std::string_view type);

/// The type of a layer of a model.
/// @throws ValueError  naming the layer and all types
const LayerType& layer_type_of(const LayerSpec& layer);

/// The constraint that the option `constraint` names: a type that is one, or "unconstrained".
/// @throws ValueError  naming the layer and all constraints
Parametrization constraint_option(Site& site, std::string_view fallback);

/// A dense layer under the constraint of its own type: the build function of such types.
std::unique_ptr<Module> build_constrained_dense(Site& site);

}  // namespace isotape
