#include <isotape/layers/module.hpp>

#include <cmath>
#include <limits>
#include <ostream>

#include <isotape/layers/weight.hpp>

namespace isotape {

double bound_product(double a, double b) {
  // Rounding to nearest misses the exact product by less than one place; a factor of exactly 1
  // loses nothing.
  if (a == 1 || b == 1) return a * b;
  return std::nextafter(a * b, std::numeric_limits<double>::infinity());
}

double bound_sum(double a, double b) {
  if (a == 0 || b == 0) return a + b;
  return std::nextafter(a + b, std::numeric_limits<double>::infinity());
}

double bound_root(double square) {
  const double root = std::sqrt(square);
  return std::fma(root, root, -square) >= 0
             ? root
             : std::nextafter(root, std::numeric_limits<double>::infinity());
}

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
