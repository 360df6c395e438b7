#pragma once

#include <cstdint>

#include <isotape/core/tensor.hpp>
#include <isotape/ops/spectral_bound.hpp>

namespace isotape {

/// Proved limits of the singular values (of the smaller channel side) of a kernel's symbol K(theta)
/// at the frequencies 2 pi (u / m, v / n): of the convolution at stride 1 under circular padding on
/// images of m x n. To a few parts in 1e9. Cost: per frequency a singular value decomposition and
/// two checked Cholesky factors of the smaller side c, about 80 c^3 flops.
/// @param kernel  [O, h, w, I], f64, finite
Enclosure grid_enclosure(const Tensor& kernel, std::int64_t m, std::int64_t n);

/// Proved limits at every frequency, from those at the grid of m x n.
///
/// With d_h = h - 1 and d_w = w - 1 the degrees of the Gram symbol G = K^H K, and c the middle of
/// the limits of its eigenvalues on the grid,
///
///     sup |G(theta) - c| <= max over the grid |G - c| / (cos(pi d_h / m) cos(pi d_w / n)).
///
/// @param m, n  points per axis, more than twice the degree
/// @throws ValueError  if there are not as many points
Enclosure sampled_enclosure(const Tensor& kernel, std::int64_t m, std::int64_t n);

/// Extents of a grid for sampled_enclosure() within a budget of flops: from 4 to 32 times the
/// degree per axis. None (0) if the least is beyond it.
struct Samples {
  std::int64_t m = 0;
  std::int64_t n = 0;
};
Samples affordable_samples(const Tensor& kernel, double flops);

}  // namespace isotape
