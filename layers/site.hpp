#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include <isotape/core/random.hpp>
#include <isotape/core/tensor.hpp>
#include <isotape/layers/model_spec.hpp>
#include <isotape/ops/group_sort.hpp>
#include <isotape/ops/pad.hpp>

namespace isotape {

/// What a layer is built from: its options, the shape of one sample that it receives, and its
/// stream of random numbers. The functions below read options and name the layer in their errors.
struct Site {
  const LayerSpec& spec;
  OptionReader& options;
  const Shape& input;
  std::int64_t classes;
  Rng& rng;

  /// "fc1 (linear)".
  std::string place() const { return spec.name + " (" + spec.type + ")"; }
};

/// The option `out`: a number of channels, or the word "classes".
std::int64_t output_extent(Site& site);
/// An option in 1..4096.
int small_integer(Site& site, std::string_view key, std::int64_t fallback);
/// A word out of a list, the first by default.
std::string choice(Site& site, std::string_view key, std::initializer_list<const char*> words);
Pairing pairing_option(Site& site);
/// @throws ValueError  for all but circular and zero: no bound is proved for others
PadMode padding_option(Site& site);

/// C of an input [H, W, C]. @throws ShapeError for another rank
std::int64_t input_channels(const Site& site);
/// n of an input [n]. @throws ShapeError for another rank
std::int64_t input_extent(const Site& site);

}  // namespace isotape
