#include <isotape/layers/parameter.hpp>

namespace isotape {
namespace {

thread_local int constant_parameters = 0;

}  // namespace

Shape matrix_shape(const Shape& raw) { return raw.rank() == 4 ? Shape{raw[0], raw.inner(0)} : raw; }

ConstantParameters::ConstantParameters() { ++constant_parameters; }

ConstantParameters::~ConstantParameters() { --constant_parameters; }

bool Parameter::is_recorded() const {
  return Tape::active() != nullptr && trainable && constant_parameters == 0;
}

Var Parameter::var() {
  if (!is_recorded()) return value_;
  Tape& tape = *Tape::active();
  Var leaf = tape.recall(this, version_);
  if (!leaf) {
    leaf = tape.leaf(value_, &grad);
    tape.remember(this, version_, leaf);
  }
  return leaf;
}

}  // namespace isotape
