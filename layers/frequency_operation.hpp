#pragma once

#include <string>

#include <isotape/layers/operation.hpp>

namespace isotape {

/// y = U^T Q U x + b on images of one size, U the isometry fourier(), Q the matrices `symbol` of
/// each frequency.
///
/// @param symbol  [F, I, O, 2], f32; its key is `<prefix>symbol`
/// @param norm    >= the norm of each matrix
/// @param bias    [O], or absent
Operation frequency_operation(const std::string& prefix, const Tensor& symbol, double norm,
                              const Tensor& bias, const Shape& input, const Shape& output);

}  // namespace isotape
