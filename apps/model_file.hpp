#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <isotape/layers/model_spec.hpp>

namespace isotape {

/// Reads a model from TOML: its name, and one [[layer]] table per layer.
///
///     name = "mine"
///     [[layer]]
///     name = "conv1"
///     type = "bcop"
///     out = 16
///
/// @throws UsageError  `PATH:LINE:COLUMN: expected ..., got ...`
ModelSpec read_model_file(const std::filesystem::path& path);

/// The model of a known name, or of a file that ends with .toml.
/// @throws UsageError  listing the names
ModelSpec find_model(std::string_view name);

/// The text of a model file that reads as an equal model, with comments for who changes it.
std::string to_toml(const ModelSpec& spec);

}  // namespace isotape
