#include <isotape/layers/model_spec.hpp>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

using Json = nlohmann::ordered_json;

std::string print(const OptionValue& value) {
  std::ostringstream stream;
  std::visit([&](const auto& v) { stream << std::boolalpha << v; }, value);
  return stream.str();
}

OptionValue option_from(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number()) return value.get<double>();
  return value.get<std::string>();
}

Json json_of(const std::vector<LayerSpec>& layers) {
  Json list = Json::array();
  for (const LayerSpec& layer : layers) {
    Json entry = {{"name", layer.name}, {"type", layer.type}};
    for (const auto& [key, value] : layer.options) {
      std::visit([&, &key = key](const auto& v) { entry[key] = v; }, value);
    }
    if (!layer.layers.empty()) entry["layers"] = json_of(layer.layers);
    list.push_back(entry);
  }
  return list;
}

std::vector<LayerSpec> layers_from(const Json& list) {
  std::vector<LayerSpec> layers;
  for (const Json& entry : list) {
    LayerSpec layer{entry.at("name").get<std::string>(), entry.at("type").get<std::string>(), {}};
    for (const auto& [key, value] : entry.items()) {
      if (key == "layers") {
        layer.layers = layers_from(value);
      } else if (key != "name" && key != "type") {
        layer.options.emplace_back(key, option_from(value));
      }
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace

std::string to_json(const ModelSpec& spec) {
  return Json{{"name", spec.name}, {"layers", json_of(spec.layers)}}.dump();
}

ModelSpec model_spec_from_json(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    return {json.at("name").get<std::string>(), layers_from(json.at("layers"))};
  } catch (const Json::exception& error) {
    throw DataError(message("model: expected a list of layers in JSON, got ", error.what()));
  }
}

const OptionValue* OptionReader::find(std::string_view key) {
  asked_.emplace_back(key);
  for (std::size_t i = 0; i < spec_.options.size(); ++i) {
    if (spec_.options[i].first == key) {
      used_[i] = true;
      return &spec_.options[i].second;
    }
  }
  return nullptr;
}

void OptionReader::fail(std::string_view key, std::string_view expected) const {
  std::string found = "nothing";
  for (const auto& [name, value] : spec_.options) {
    if (name == key) found = print(value);
  }
  throw ValueError(message(spec_.name, " (", spec_.type, "): expected ", key, " to be ", expected,
                           ", got ", found));
}

bool OptionReader::boolean(std::string_view key, bool fallback) {
  const OptionValue* value = find(key);
  if (value == nullptr) return fallback;
  if (!std::holds_alternative<bool>(*value)) fail(key, "true or false");
  return std::get<bool>(*value);
}

double OptionReader::number(std::string_view key, double fallback) {
  const OptionValue* value = find(key);
  if (value == nullptr) return fallback;
  if (const auto* integer = std::get_if<std::int64_t>(value)) return static_cast<double>(*integer);
  if (!std::holds_alternative<double>(*value)) fail(key, "a number");
  return std::get<double>(*value);
}

std::int64_t OptionReader::integer(std::string_view key, std::int64_t fallback) {
  const OptionValue* value = find(key);
  if (value == nullptr) return fallback;
  if (!std::holds_alternative<std::int64_t>(*value)) fail(key, "an integer");
  return std::get<std::int64_t>(*value);
}

std::int64_t OptionReader::required_integer(std::string_view key) {
  const OptionValue* value = find(key);
  if (value == nullptr || !std::holds_alternative<std::int64_t>(*value)) fail(key, "an integer");
  return std::get<std::int64_t>(*value);
}

std::string OptionReader::text(std::string_view key, std::string_view fallback) {
  const OptionValue* value = find(key);
  if (value == nullptr) return std::string(fallback);
  if (!std::holds_alternative<std::string>(*value)) fail(key, "a word");
  return std::get<std::string>(*value);
}

void OptionReader::finish() const {
  for (std::size_t i = 0; i < used_.size(); ++i) {
    if (used_[i]) continue;
    std::string known;
    for (const std::string& key : asked_) known += (known.empty() ? "" : ", ") + key;
    throw ValueError(message(spec_.name, " (", spec_.type, "): expected ",
                             known.empty() ? "no options" : "options " + known, ", got '",
                             spec_.options[i].first, "'"));
  }
}

}  // namespace isotape
