#include <isotape/core/op.hpp>

#include <algorithm>

namespace isotape {
namespace {

std::vector<std::string_view>& registry() {
  static std::vector<std::string_view> names;
  return names;
}

std::vector<std::string_view>& checked() {
  static std::vector<std::string_view> names;
  return names;
}

void insert_once(std::vector<std::string_view>& names, std::string_view name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

}  // namespace

Op::Op(std::string_view name) : name_(name) { insert_once(registry(), name); }

const std::vector<std::string_view>& registered_ops() { return registry(); }

const std::vector<std::string_view>& gradchecked_ops() { return checked(); }

void note_gradchecked(std::string_view op) { insert_once(checked(), op); }

}  // namespace isotape
