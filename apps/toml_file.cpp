#include <isotape/apps/toml_file.hpp>

#include <fmt/format.h>
#include <algorithm>
#include <sstream>

#include <isotape/core/input_file.hpp>

namespace isotape {
namespace {

std::string read(const std::filesystem::path& path) {
  try {
    return read_file("read", path);
  } catch (const DataError& error) {
    throw UsageError(error.what());
  }
}

std::string_view kind(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "a word";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

}  // namespace

TomlFile::TomlFile(const std::filesystem::path& path) : path_(path.string()) {
  const std::string text = read(path);
  try {
    root_ = toml::parse(text, path_);
  } catch (const toml::parse_error& error) {
    fail(error.source(), "not TOML: ", error.description());
  }
}

std::string TomlFile::place(const toml::source_region& region) const {
  return message(path_, ':', region.begin.line, ':', region.begin.column);
}

LayerSpec TomlFile::layer(const toml::node& node) const {
  const toml::table* table = node.as_table();
  if (table == nullptr) fail(node.source(), "expected a [[layer]] table, got ", kind(node));
  LayerSpec spec;
  std::vector<std::pair<toml::source_position, std::pair<std::string, OptionValue>>> options;
  for (const auto& [key, value] : *table) {
    const std::string name(key.str());
    if (name == "name" || name == "type") {
      if (!value.is_string()) {
        fail(value.source(), "expected ", name, " to be a word, got ", kind(value));
      }
      (name == "name" ? spec.name : spec.type) = **value.as_string();
    } else if (const auto* flag = value.as_boolean()) {
      options.push_back({key.source().begin, {name, **flag}});
    } else if (const auto* integer = value.as_integer()) {
      options.push_back({key.source().begin, {name, **integer}});
    } else if (const auto* number = value.as_floating_point()) {
      options.push_back({key.source().begin, {name, **number}});
    } else if (const auto* word = value.as_string()) {
      options.push_back({key.source().begin, {name, **word}});
    } else {
      fail(value.source(), "expected ", name, " to be a number, word, true or false, got ",
           kind(value));
    }
  }
  if (spec.name.empty()) fail(table->source(), "expected the layer's name, got none");
  if (spec.type.empty()) fail(table->source(), spec.name, ": expected the layer's type, got none");
  std::sort(options.begin(), options.end(), [](const auto& a, const auto& b) {
    return a.first.line != b.first.line ? a.first.line < b.first.line
                                        : a.first.column < b.first.column;
  });
  for (auto& [place, option] : options) spec.options.push_back(std::move(option));
  return spec;
}

std::vector<LayerSpec> TomlFile::layers() const {
  std::vector<LayerSpec> specs;
  const toml::node* node = root_.get("layer");
  if (node == nullptr) return specs;
  const toml::array* list = node->as_array();
  if (list == nullptr) fail(node->source(), "expected [[layer]] tables, got ", kind(*node));
  for (const toml::node& entry : *list) {
    specs.push_back(layer(entry));
    const std::string& name = specs.back().name;
    const bool seen = std::any_of(specs.begin(), specs.end() - 1,
                                  [&](const LayerSpec& other) { return other.name == name; });
    if (seen) fail(entry.source(), "expected layers of different names, got '", name, "' twice");
  }
  return specs;
}

std::string to_toml(const OptionValue& value) {
  if (const auto* number = std::get_if<double>(&value)) {
    // The shortest digits that read back as the same number, and a mark that it is no integer.
    const std::string digits = fmt::format("{}", *number);
    return digits.find_first_of(".ein") == std::string::npos ? digits + ".0" : digits;
  }
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  const toml::value<std::string> word(std::get<std::string>(value));
  const auto plain_quotes =
      toml::toml_formatter::default_flags &
      ~(toml::format_flags::allow_literal_strings | toml::format_flags::allow_multi_line_strings);
  std::ostringstream text;
  text << toml::toml_formatter(word, plain_quotes);
  return text.str();
}

std::string to_toml(const std::vector<LayerSpec>& layers) {
  std::string text;
  for (const LayerSpec& layer : layers) {
    text += "\n[[layer]]\nname = " + to_toml(OptionValue(layer.name)) +
            "\ntype = " + to_toml(OptionValue(layer.type)) + '\n';
    for (const auto& [key, value] : layer.options) text += key + " = " + to_toml(value) + '\n';
  }
  return text;
}

}  // namespace isotape
