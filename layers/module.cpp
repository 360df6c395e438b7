#include <isotape/layers/module.hpp>

#include <ostream>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/weight.hpp>

namespace isotape {

NormPreservation operator&(NormPreservation a, NormPreservation b) {
  if (a == b || b == NormPreservation::both) return a;
  return a == NormPreservation::both ? b : NormPreservation::none;
}

std::ostream& operator<<(std::ostream& os, NormPreservation kept) {
  switch (kept) {
    case NormPreservation::none:
      return os << "none";
    case NormPreservation::forward:
      return os << "forward";
    case NormPreservation::backward:
      return os << "backward";
    case NormPreservation::both:
      break;
  }
  return os << "both";
}

Enclosure Module::enclosure_at(const Shape& input) const {
  output_shape(input);
  return enclosure();
}

Proof Module::proof() const { return proof_line("net", kind(), enclosure()); }

Bound Module::lipschitz_bound() const {
  Enclosure e = enclosure();
  return {e.upper, std::move(e.rule)};
}

ParameterList Module::parameters() {
  ParameterList list;
  collect("", list);
  return list;
}

BufferList Module::buffers() {
  BufferList list;
  collect("", list);
  return list;
}

std::vector<NamedWeight> Module::weights() {
  std::vector<NamedWeight> list;
  collect("", list);
  return list;
}

std::vector<NamedTensor> Module::folded_weights() const {
  std::vector<NamedTensor> list;
  collect_folded("", list);
  return list;
}

void Module::project(std::int64_t step, bool epoch_ended) {
  for (Module* part : children()) part->project(step, epoch_ended);
}

void Module::collect_operations(const std::string& prefix, const Shape& input,
                                Operations& operations) const {
  throw ValueError(message(prefix.substr(0, prefix.find_last_of('.')), " (", kind(),
                           "): expected a layer that a certificate has an operation for, got an "
                           "input of ",
                           input, " after ", operations.size(), " operations"));
}

void Module::prepare() {
  prepare_weights(weights());
  derive();
}

std::int64_t parameter_count(const ParameterList& parameters) {
  std::int64_t count = 0;
  for (const NamedParameter& named : parameters) {
    if (named.parameter->trainable) count += named.parameter->value().size();
  }
  return count;
}

}  // namespace isotape
