#pragma once

#include <isotape/layers/registry.hpp>

namespace isotape {

/// Cayley transform of the matrix at each frequency of a raw kernel [Trockman 2021]. A kernel's
/// scale matters to it: the length of the kernel is a parameter of its own, trained (the published
/// code of [Wang 2023] makes it after its optimizer, and leaves it as it is).
extern const LayerType cayley_conv_type;

}  // namespace isotape
