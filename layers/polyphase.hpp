#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <isotape/core/tensor.hpp>

namespace isotape {

/// The convolution with a kernel as convolutions at stride 1, one per group: on the
/// pixel-unshuffled image tap s a + phase becomes tap a of channel i s^2 + phase.
///
/// @param op      who asks, for error texts
/// @param kernel  [O, h, w, I / groups], f32 or f64
/// @return        `groups` kernels [O / groups, ceil(h / s), ceil(w / s), s^2 I / groups] in f64
/// @throws ShapeError  if the kernel has another rank or groups do not divide O; ValueError if
///                     stride or groups is below 1; NumericError if an entry is not finite
std::vector<Tensor> polyphase_kernels(std::string_view op, const Tensor& kernel,
                                      std::int64_t stride, std::int64_t groups);

}  // namespace isotape
