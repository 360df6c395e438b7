#pragma once

#include <cstdint>

#include <isotape/core/tensor.hpp>

namespace isotape {

/// The kernel of the same convolution without groups and dilation: zeros between its taps, and
/// where an input belongs to another group than the filter. On plain tensors, every entry kept.
///
/// @param w  [O, h, v, I / groups]
/// @return   [O, (h - 1) dilation + 1, (v - 1) dilation + 1, I]
/// @throws ShapeError  if w has another rank or groups do not divide O; ValueError if groups or
///                     dilation are below 1
Tensor expanded_kernel(const Tensor& w, std::int64_t groups, std::int64_t dilation);

}  // namespace isotape
