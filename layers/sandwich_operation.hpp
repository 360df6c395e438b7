#pragma once

#include <string>

#include <isotape/layers/operation.hpp>
#include <isotape/ops/sandwich.hpp>

namespace isotape {

/// Completes the operation of a map [A B] with sigma and tensors by the activation between B and A:
/// its options and keys, its bound |[A B]|^2, and what it adds. Beyond |psi| = 16 nothing is
/// vouched for: `absolute` becomes infinite.
///
/// @param psi   [q]
/// @param bias  [q], or absent
void add_activation(const std::string& prefix, const Tensor& psi, const Tensor& bias,
                    SlopeRestricted activation, Operation& operation);

/// Appends the gain sqrt(gamma), unless gamma is 1.
void append_gain(const std::string& prefix, const Shape& input, double gamma,
                 Operations& operations);

}  // namespace isotape
