#pragma once

#include <isotape/layers/registry.hpp>

namespace isotape {

/// Layer-wise orthogonal training: the polar factor (V V^H)^-1/2 V of the matrix at each frequency
/// of a raw kernel [Xu 2022]. Not by Newton's iteration cut after some steps, but to the exact
/// factor, with its gradient in closed form, in f64 where it is folded: the defect per frequency is
/// rounding, and 1e-6 is stated.
extern const LayerType lot_type;

}  // namespace isotape
