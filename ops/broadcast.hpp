#pragma once

#include <string_view>

#include <isotape/core/tensor.hpp>

namespace isotape {

/// The broadcasting rule of binary elementwise ops: b has the shape of a, or that of a's trailing
/// axes (a bias), or a single element. Then element i of a meets element i mod b.size() of b.
/// @throws ShapeError  `op: expected b of shape ..., of its trailing axes or of one element, got
///                     ...`; also for unequal element types
void require_broadcastable(std::string_view op, const Tensor& a, const Tensor& b);

/// The transpose of that repetition, and so the gradient of a bias: sums over the leading axes that
/// `shape` lacks, over all axes for a shape of one element.
///
///     y_j = factor sum_i x_(i n + j),   n = shape.size()
///
/// Accumulates in f64, in an order that depends on the sizes only: the bits are the same for any
/// number of threads.
///
/// @param x      f32 or f64, a multiple of n elements
/// @param shape  of the result
/// @return       of that shape; x itself if it has it and factor is 1
Tensor sum_to(const Tensor& x, const Shape& shape, double factor = 1);

}  // namespace isotape
