#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// Windows of kernel x kernel pixels, `stride` apart, that cover the image exactly: the sides are
/// kernel plus a multiple of stride.
struct PoolOptions {
  int kernel = 2;
  int stride = 0;  ///< 0: the kernel, so that windows do not overlap
};

/// Proved bounds of what the two pools below are divided by: of one window after the other, and of
/// the sum over windows. With k = q s + r, 0 <= r < s, an axis has r phases that q + 1 windows see
/// and s - r that q do.
///
/// l2_pool:       a pixel lies in at most ceil(k/s)^2 windows, so the factor is ceil(k/s).
/// average_pool:  as a convolution of stride s each axis has the polyphase symbols
///                P_j(z) = sum of its phase's n_j powers of z, |P_j| <= n_j on the circle, so the
///                norm of the plain sum over a window is at most n = r (q+1)^2 + (s-r) q^2 (one
///                sqrt(n) for each axis): attained by constant images without a border.
std::int64_t pool_overlap(const PoolOptions& options);
std::int64_t pool_sum_norm(const PoolOptions& options);

/// L2-norm pooling [Boureau 2010], y = |x over the window|_2 / ceil(k/s), channel by channel. At a
/// window of zeros the value is 0 and the gradient the zero vector, without a constant in the root.
/// Lipschitz: 1 in l2 (each window's norm is 1-Lipschitz, and a pixel is in at most ceil(k/s)^2);
/// GNP: of gradients where windows do not overlap, away from zero windows.
///
/// @param x  activations, [N, H, W, C]
/// @return   [N, (H - k)/s + 1, (W - k)/s + 1, C]
/// @throws ShapeError  if windows do not cover x; ValueError if kernel < 1 or stride < 0
Var l2_pool(const Var& x, const PoolOptions& options);

/// Average pooling, scaled so that its norm is 1 and not 1/k [Serrurier 2021]:
/// y = (sum of x over the window) / pool_sum_norm(options), for s = k the sum over k. The factor is
/// rounded down in x's type: the bound holds for the one in use.
/// Lipschitz: 1 in l2; GNP: of gradients where windows do not overlap.
///
/// @param x  activations, [N, H, W, C]
/// @return   [N, (H - k)/s + 1, (W - k)/s + 1, C]
/// @throws ShapeError  if windows do not cover x; ValueError if kernel < 1 or stride < 0
Var average_pool(const Var& x, const PoolOptions& options);

/// The sum over all pixels / sqrt(H W), the factor rounded down in x's type.
/// Lipschitz: 1 in l2; GNP: of gradients.
///
/// @param x  activations, [N, H, W, C]
/// @return   [N, C]
/// @throws ShapeError  if x has not four axes, or no pixel
Var global_average_pool(const Var& x);

/// Every pixel repeated in a square of s x s pixels: the transpose of sums over such squares.
/// Lipschitz: s in l2, exactly: it multiplies every norm by s.
///
/// @param x  activations, [N, H, W, C]
/// @param s  >= 1
/// @return   [N, H s, W s, C]
/// @throws ShapeError  if x has not four axes; ValueError if s < 1
Var upsample_nearest(const Var& x, int s);

}  // namespace isotape
