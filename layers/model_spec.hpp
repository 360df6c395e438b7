#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace isotape {

/// The value of a layer's option as a model file holds it.
using OptionValue = std::variant<bool, std::int64_t, double, std::string>;

/// One layer of a model: its name in checkpoints, its type ("bcop", "linear", ...) and its options
/// in the order in which they were given; of a composition also the layers within it. Input extents
/// are not part of it: they follow.
struct LayerSpec {
  std::string name;
  std::string type;
  std::vector<std::pair<std::string, OptionValue>> options;
  std::vector<LayerSpec> layers = {};
  friend bool operator==(const LayerSpec&, const LayerSpec&) = default;
};

/// A model as a list of layers, independent of the data set it will see.
struct ModelSpec {
  std::string name;
  std::vector<LayerSpec> layers;
  friend bool operator==(const ModelSpec&, const ModelSpec&) = default;
};

/// Text form for checkpoints (one line of JSON), and back.
/// @throws DataError  if the text is not such a list
std::string to_json(const ModelSpec& spec);
ModelSpec model_spec_from_json(std::string_view text);

/// Reads the options of one layer, each by name with a default; finish() refuses the ones nobody
/// asked for, so that a misspelled option is an error.
class OptionReader {
 public:
  explicit OptionReader(const LayerSpec& spec) : spec_(spec), used_(spec.options.size(), false) {}

  /// @throws ValueError  naming layer, option, expected type and found value
  bool boolean(std::string_view key, bool fallback);
  double number(std::string_view key, double fallback);
  std::int64_t integer(std::string_view key, std::int64_t fallback);
  std::int64_t required_integer(std::string_view key);
  std::string text(std::string_view key, std::string_view fallback);
  const OptionValue* find(std::string_view key);
  /// @throws ValueError  `fc1 (linear): expected options out, bias, ..., got 'otu'`
  void finish() const;

 private:
  [[noreturn]] void fail(std::string_view key, std::string_view expected) const;
  const LayerSpec& spec_;
  std::vector<bool> used_;
  std::vector<std::string> asked_;
};

}  // namespace isotape
