#include <isotape/layers/derived.hpp>

#include <algorithm>

#include <isotape/core/error.hpp>
#include <isotape/layers/weight.hpp>

namespace isotape {
namespace {

// Versions only grow, so their sum changes with each; 0 is none, as every version starts at 1.
std::uint64_t version_of(const std::vector<Parameter*>& parameters) {
  std::uint64_t sum = 0;
  for (const Parameter* parameter : parameters) sum += parameter->version();
  return sum;
}

}  // namespace

Vars Derived::get(const std::vector<Parameter*>& parameters) const {
  const auto is_recorded = [](const Parameter* parameter) { return parameter->is_recorded(); };
  if (std::none_of(parameters.begin(), parameters.end(), is_recorded)) {
    const Tensors tensors = folded(parameters);
    return {tensors.begin(), tensors.end()};
  }
  Tape& tape = *Tape::active();
  const std::uint64_t version = version_of(parameters);
  Vars made;
  for (const char& key : state_->keys) {
    const Var remembered = tape.recall(&key, version);
    if (!remembered) break;
    made.push_back(remembered);
  }
  if (!made.empty()) return made;
  Vars values;
  for (Parameter* parameter : parameters) values.push_back(parameter->var());
  made = make_(values);
  require<ValueError>(!made.empty() && made.size() <= most, "derived: expected 1 to ", most,
                      " tensors, got ", made.size());
  count_recorded_weight();
  for (std::size_t i = 0; i < made.size(); ++i) tape.remember(&state_->keys[i], version, made[i]);
  return made;
}

Tensors Derived::folded_f64(const std::vector<Parameter*>& parameters) const {
  const Paused paused;
  Vars values;
  for (const Parameter* parameter : parameters) {
    values.emplace_back(parameter->value().to(DType::f64));
  }
  count_folded_weight();
  Tensors tensors;
  for (const Var& var : make_(values)) tensors.push_back(var.value());
  return tensors;
}

Tensors Derived::folded(const std::vector<Parameter*>& parameters) const {
  const std::lock_guard lock(state_->mutex);
  const std::uint64_t version = version_of(parameters);
  if (state_->version != version) {
    Tensors tensors = folded_f64(parameters);
    for (Tensor& tensor : tensors) tensor = tensor.to(parameters.front()->value().dtype());
    state_->folded = std::move(tensors);
    state_->version = version;
  }
  return state_->folded;
}

}  // namespace isotape
