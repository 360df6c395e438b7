#include <isotape/apps/toml_file.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <sstream>

#include <isotape/apps/suggestion.hpp>
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

// [[layer]] tables, those within a composition [[layer.layer]], and so on.
std::string tables(const std::vector<LayerSpec>& layers, const std::string& path) {
  std::string text;
  for (const LayerSpec& layer : layers) {
    text += "\n[[" + path + "]]\nname = " + to_toml(OptionValue(layer.name)) +
            "\ntype = " + to_toml(OptionValue(layer.type)) + '\n';
    for (const auto& [key, value] : layer.options) text += key + " = " + to_toml(value) + '\n';
    text += tables(layer.layers, path + ".layer");
  }
  return text;
}

bool before(const toml::source_position& a, const toml::source_position& b) {
  return a.line != b.line ? a.line < b.line : a.column < b.column;
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

std::string TomlFile::layer_word(const toml::table& layer, std::string_view key) const {
  const toml::node* node = layer.get(key);
  if (node == nullptr) fail(layer.source(), "expected the layer's ", key, ", got none");
  if (!node->is_string() || node->as_string()->get().empty()) {
    fail(node->source(), "expected ", key, " to be a word in quotes, got ", kind(*node));
  }
  return node->as_string()->get();
}

const LayerType& TomlFile::layer_type(const toml::table& layer) const {
  const std::string type = layer_word(layer, "type");
  std::vector<std::string> types;
  for (const LayerType* known : layer_types()) {
    if (known->type == type) return *known;
    types.emplace_back(known->type);
  }
  fail(layer.get("type")->source(), "expected a type of `isotape layers`, got '", type, "'",
       did_you_mean(type, types));
}

OptionValue TomlFile::option(std::string_view name, const toml::node& value) const {
  if (const auto* flag = value.as_boolean()) return flag->get();
  if (const auto* integer = value.as_integer()) return integer->get();
  if (const auto* number = value.as_floating_point()) return number->get();
  if (const auto* word = value.as_string()) return word->get();
  fail(value.source(), "expected ", name, " to be a number, a word, true or false, got ",
       kind(value));
}

LayerSpec TomlFile::layer(const toml::node& node) const {
  const toml::table* table = node.as_table();
  if (table == nullptr) fail(node.source(), "expected a [[layer]] table, got ", kind(node));
  const LayerType& info = layer_type(*table);
  const auto names = info.option_names();
  const std::vector<std::string> known(names.begin(), names.end());
  LayerSpec spec{layer_word(*table, "name"), std::string(info.type), {}};

  // The table holds its keys sorted; options stay in the order of the file.
  std::vector<std::pair<toml::source_position, std::string>> keys;
  for (const auto& [key, value] : *table) {
    if (key == "name" || key == "type") continue;
    if (key == "layer" && info.kind == LayerKind::composition) continue;
    if (std::find(known.begin(), known.end(), std::string(key.str())) == known.end()) {
      fail(key.source(), spec.name, " (", spec.type, "): expected ",
           known.empty() ? "no options" : "options " + fmt::format("{}", fmt::join(known, ", ")),
           ", got '", key.str(), "'", did_you_mean(key.str(), known));
    }
    keys.emplace_back(key.source().begin, key.str());
  }
  std::sort(keys.begin(), keys.end(),
            [](const auto& a, const auto& b) { return before(a.first, b.first); });
  for (const auto& [place, key] : keys)
    spec.options.emplace_back(key, option(key, *table->get(key)));
  if (info.kind == LayerKind::composition) spec.layers = layers_of(*table);
  return spec;
}

std::vector<LayerSpec> TomlFile::layers() const { return layers_of(root_); }

std::vector<LayerSpec> TomlFile::layers_of(const toml::table& table) const {
  std::vector<LayerSpec> specs;
  const toml::node* node = table.get("layer");
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

std::string to_toml(const std::vector<LayerSpec>& layers) { return tables(layers, "layer"); }

}  // namespace isotape
