#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <isotape/apps/commands.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

int run_layers(const LayersOptions& options) {
  if (options.json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const LayerType* layer : layer_types()) {
      list.push_back({{"type", layer->type},
                      {"kind", name(layer->kind)},
                      {"property", name(layer->property)},
                      {"options", layer->option_names()},
                      {"description", layer->description},
                      {"cost", layer->cost},
                      {"source", layer->source}});
    }
    fmt::print("{}\n", list.dump(2));
    return 0;
  }
  for (const LayerType* layer : layer_types()) {
    fmt::print("{}  ({}, {}{}{})\n  {}\n", layer->type, name(layer->kind), name(layer->property),
               layer->source.empty() ? "" : "; ", layer->source, layer->description);
    if (!layer->cost.empty()) fmt::print("  weights: {}\n", layer->cost);
    if (!layer->options.empty()) fmt::print("  options: {}\n", layer->options);
  }
  return 0;
}

}  // namespace isotape
