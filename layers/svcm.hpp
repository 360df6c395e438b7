#pragma once

#include <cstdint>

#include <isotape/core/tensor.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// Singular value clipping and masking [Sedghi 2019; Li 2019, "SVCM"]: alternating projections of a
/// kernel between the convolutions of norm at most 1 on images of one size, under circular padding
/// (singular values above 1 become 1), and the kernels of its extents (all other taps become zero).
/// The last one is the mask, which leaves singular values a little above 1.
///
/// @param kernel         [O, h, w, I / groups], f32 or f64
/// @param height, width  of the image, at least those of the kernel
/// @param projections    pairs of projections, >= 1
/// @return               of the kernel's shape and type, from f64 arithmetic
/// @throws ShapeError  if the kernel is larger than the image
Tensor clip_singular_values(const Tensor& kernel, std::int64_t height, std::int64_t width,
                            std::int64_t groups, int projections);

extern const LayerType svcm_type;

}  // namespace isotape
