#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <isotape/apps/commands.hpp>
#include <isotape/apps/table.hpp>
#include <isotape/layers/model.hpp>

namespace isotape {

int run_layers(const LayersOptions& options) {
  if (options.json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const LayerInfo& layer : layer_infos()) {
      list.push_back(
          {{"type", layer.type}, {"options", layer.options}, {"description", layer.description}});
    }
    fmt::print("{}\n", list.dump(2));
    return 0;
  }
  for (const LayerInfo& layer : layer_infos()) {
    fmt::print("{}\n  {}\n", layer.type, layer.description);
    if (!layer.options.empty()) fmt::print("  options: {}\n", layer.options);
  }
  return 0;
}

}  // namespace isotape
