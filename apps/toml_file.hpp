#pragma once

// The part of model files and configurations that sees toml++: include it in their sources only.
#include <toml++/toml.h>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/apps/errors.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// A TOML file that was read; errors name it with line and column.
class TomlFile {
 public:
  /// @throws UsageError  if it cannot be read, or is not TOML
  explicit TomlFile(const std::filesystem::path& path);

  const toml::table& root() const { return root_; }
  std::string place(const toml::source_region& region) const;

  /// @throws UsageError  `PATH:LINE:COLUMN: ` and the parts
  template <class... Parts>
  [[noreturn]] void fail(const toml::source_region& region, const Parts&... parts) const {
    throw UsageError(message(place(region), ": ", parts...));
  }

  /// The [[layer]] tables, with their options in the order of the file; none if there are none. The
  /// layers within a composition are its [[layer.layer]] tables, and so on.
  std::vector<LayerSpec> layers() const;

 private:
  LayerSpec layer(const toml::node& node) const;
  std::vector<LayerSpec> layers_of(const toml::table& table) const;
  std::string layer_word(const toml::table& layer, std::string_view key) const;
  const LayerType& layer_type(const toml::table& layer) const;
  OptionValue option(std::string_view name, const toml::node& value) const;
  std::string path_;
  toml::table root_;
};

/// A value as TOML spells it.
std::string to_toml(const OptionValue& value);
/// [[layer]] tables that layers() reads as the same list.
std::string to_toml(const std::vector<LayerSpec>& layers);

}  // namespace isotape
