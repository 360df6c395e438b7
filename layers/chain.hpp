#pragma once

#include <string>
#include <string_view>

#include <isotape/layers/model_spec.hpp>

namespace isotape {

/// Of what a chain makes its layers: types with the options that all of them share.
struct Parts {
  LayerSpec convolution{"", "bcop", {}};
  LayerSpec dense{"", "linear", {{"constraint", std::string("bjorck")}}};
  LayerSpec activation{"", "maxmin", {}};

  /// No constraint anywhere.
  static Parts plain();
  /// The parts above with one layer replaced by a type, according to its kind.
  /// @throws ValueError  if it is neither dense layer nor convolution nor activation
  static Parts with(std::string_view type);
};

/// Writes the layers of a model one after the other, with the names conv1, act1, fc1, ...
///
/// A convolution that takes no stride follows a pixel unshuffle by the stride, with kernel /
/// stride. A type that takes no `out` keeps its width: it follows the default part, which sets the
/// width.
class Chain {
 public:
  Chain(std::string name, Parts parts) : spec_{std::move(name), {}}, parts_(std::move(parts)) {}

  Chain& conv(std::int64_t out, std::int64_t kernel, std::int64_t stride = 1);
  Chain& dense(OptionValue out);
  Chain& activate();
  /// Any other layer, named after its type and number: flatten, pad2.
  Chain& add(std::string name, std::string type,
             std::vector<std::pair<std::string, OptionValue>> options = {});
  /// The dense layer of the logits, and the end of the chain.
  ModelSpec classes();
  ModelSpec end() { return std::move(spec_); }

 private:
  void sized(const std::string& name, const LayerSpec& part, const LayerSpec& fallback,
             const std::vector<std::pair<std::string, OptionValue>>& extents);
  ModelSpec spec_;
  Parts parts_;
  int convs_ = 0;
  int denses_ = 0;
  int activations_ = 0;
};

}  // namespace isotape
