#include <isotape/layers/watch.hpp>

#include <algorithm>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

thread_local Watch* current = nullptr;

}  // namespace

Watch::Watch(const std::vector<const Module*>& modules) : previous_(std::exchange(current, this)) {
  for (const Module* module : modules) seen_.emplace_back(module, Var());
}

Watch::~Watch() { current = previous_; }

Var Watch::seen(const Module* module) const {
  const auto found = std::find_if(seen_.begin(), seen_.end(),
                                  [&](const auto& entry) { return entry.first == module; });
  return found == seen_.end() ? Var() : found->second;
}

bool Watch::is_watched(const Module* module) {
  return current != nullptr &&
         std::any_of(current->seen_.begin(), current->seen_.end(),
                     [&](const auto& entry) { return entry.first == module; });
}

void Watch::note(const Module* module, const Var& y) {
  if (current == nullptr) return;
  for (auto& [watched, seen] : current->seen_) {
    if (watched == module && !seen) seen = y;
  }
}

FoundPart find_part(std::string_view who, const Sequential& net, std::string_view name,
                    const Shape& input) {
  const std::string_view head = name.substr(0, name.find('.'));
  std::string names;
  Shape shape = input;
  for (const Sequential::Part& part : net.parts()) {
    names += (names.empty() ? "" : ", ") + part.name;
    const auto* chain = dynamic_cast<const Sequential*>(part.module.get());
    if (part.name == head && chain != nullptr && head.size() < name.size()) {
      return find_part(who, *chain, name.substr(head.size() + 1), shape);
    }
    shape = part.module->output_shape(shape);
    if (part.name == name) return {part.module.get(), shape};
  }
  throw ValueError(message(who, ": expected a layer among ", names, ", got '", name, "'"));
}

}  // namespace isotape
