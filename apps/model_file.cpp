#include <isotape/apps/model_file.hpp>

#include <isotape/apps/suggestion.hpp>
#include <isotape/apps/toml_file.hpp>

namespace isotape {
namespace {

void check_keys(const TomlFile& file) {
  for (const auto& [key, value] : file.root()) {
    if (key != "name" && key != "layer") {
      file.fail(key.source(), "expected name or [[layer]], got '", key.str(), "'",
                did_you_mean(key.str(), {"name", "layer"}));
    }
  }
}

}  // namespace

ModelSpec read_model_file(const std::filesystem::path& path) {
  const TomlFile file(path);
  check_keys(file);
  ModelSpec spec{path.stem().string(), file.layers()};
  if (const toml::node* name = file.root().get("name")) {
    if (!name->is_string() || name->as_string()->get().empty()) {
      file.fail(name->source(), "expected name to be a word in quotes");
    }
    spec.name = name->as_string()->get();
  }
  if (spec.layers.empty()) file.fail(file.root().source(), "expected [[layer]] tables, got none");
  return spec;
}

std::string to_toml(const ModelSpec& spec) {
  return "# A model of isotape: layers in the order of the forward pass. Input extents follow "
         "from\n"
         "# the data set; out = \"classes\" is its number of classes. `isotape layers` lists the\n"
         "# types and their options; `isotape train --model FILE.toml` trains it.\n"
         "name = " +
         to_toml(OptionValue(spec.name)) + '\n' + to_toml(spec.layers);
}

}  // namespace isotape
