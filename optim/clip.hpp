#pragma once

#include <isotape/layers/parameter.hpp>

namespace isotape {

/// Scales the gradients so that the l2 norm of all of them together is at most max_norm.
///
/// @param max_norm  > 0
/// @return the norm before, accumulated in f64 in an order that does not depend on the threads
/// @throws NumericError  `clip_grad_norm: expected a finite gradient of fc1.raw, got norm nan`
double clip_grad_norm(const ParameterList& parameters, double max_norm);

/// Clamps every entry of the gradients to [-max_abs, max_abs]; a NaN stays one.
/// @param max_abs  > 0
void clip_grad_value(const ParameterList& parameters, double max_abs);

}  // namespace isotape
