#pragma once

#include <string_view>

#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/conv2d_kernel.hpp>

namespace isotape {

// What conv2d and its transpose demand alike; `op` is who asks, for the error texts.

/// @throws ValueError  if an option is out of its range
void check_conv2d_options(std::string_view op, const Conv2dOptions& options);

/// @throws ValueError  if a circular border does not fit into the image [N, H, W, C]
void check_conv2d_border(std::string_view op, const Shape& image, const Conv2dOptions& options);

/// The precision that was wanted, or `full` where there is no bf16: on values of f64, no images,
/// groups, dilation or a strided 1x1 kernel.
/// @throws ValueError  if bf16 is wanted of a CPU that has none
Precision conv2d_precision(std::string_view op, const Conv2dGeometry& g, DType dtype,
                           Precision wanted);

}  // namespace isotape
