#include <fmt/format.h>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include <isotape/apps/commands.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/model_file.hpp>
#include <isotape/apps/suggestion.hpp>
#include <isotape/apps/table.hpp>
#include <isotape/layers/model.hpp>

namespace isotape {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Shape& shape) { return message(shape); }

Model build(const ModelSpec& spec, const ModelsOptions& options) {
  return build_model(spec, Shape(options.input), options.classes, Rng(0));
}

int print_list(const ModelsOptions& options) {
  Json list = Json::array();
  std::vector<std::vector<std::string>> rows = {{"model", "layers", "what"}};
  for (const ModelInfo& info : model_infos()) {
    const std::string name(info.name);
    const ModelSpec spec = named_model(info.layers.empty() ? name : name + ':' + info.layers[0]);
    list.push_back({{"name", name},
                    {"description", info.description},
                    {"layers", spec.layers.size()},
                    {"types", info.layers}});
    rows.push_back({info.layers.empty() ? name : name + ":<layer>",
                    std::to_string(spec.layers.size()), std::string(info.description)});
  }
  fmt::print("{}", options.json ? list.dump(2) + '\n' : table(rows));
  return 0;
}

int print_model(const ModelSpec& spec, const ModelsOptions& options) {
  Model model = build(spec, options);
  Json layers = Json::array();
  std::vector<std::vector<std::string>> rows = {{"layer", "what", "output", "parameters"}};
  Shape shape = model.input;
  std::int64_t total = 0;
  for (const Sequential::Part& part : model.net.parts()) {
    shape = part.module->output_shape(shape);
    const std::int64_t count = parameter_count(part.module->parameters());
    total += count;
    layers.push_back({{"name", part.name},
                      {"kind", part.module->kind()},
                      {"description", part.module->describe()},
                      {"output", std::vector(shape.begin(), shape.end())},
                      {"parameters", count}});
    rows.push_back({part.name, part.module->describe(), text_of(shape), with_commas(count)});
  }
  if (options.json) {
    const Json json = {{"name", spec.name},
                       {"input", options.input},
                       {"classes", options.classes},
                       {"parameters", total},
                       {"layers", layers}};
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{} for images {}, {} classes: {} parameters\n\n{}", spec.name, text_of(model.input),
               options.classes, with_commas(total), table(rows));
  }
  return 0;
}

}  // namespace

ModelSpec find_model(std::string_view name) {
  if (name.ends_with(".toml")) return read_model_file(name);
  const std::vector<std::string> names = model_names();
  if (std::find(names.begin(), names.end(), name) != names.end()) return named_model(name);
  throw UsageError(message("model: expected a name of `isotape models` or a FILE.toml, got '", name,
                           "'", did_you_mean(name, names)));
}

int run_models(const ModelsOptions& options) {
  require<UsageError>(!options.name.empty() || !options.toml,
                      "models: expected a NAME to print as TOML, got none");
  if (options.name.empty()) return print_list(options);
  const ModelSpec spec = find_model(options.name);
  if (!options.toml) return print_model(spec, options);
  fmt::print("{}", to_toml(spec));
  return 0;
}

}  // namespace isotape
