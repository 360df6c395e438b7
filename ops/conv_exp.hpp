#pragma once

#include <isotape/core/tape.hpp>
#include <isotape/ops/frame.hpp>

namespace isotape {

/// The exponential of a convolution L, as the first terms of its series [Singla 2021, "SOC"]:
///
///     y = sum_{i < terms} L^i x / i!,   L x = conv2d(x, l) with a border that keeps the size.
///
/// With L^T = -L (skew_kernel) exp(L) is orthogonal, under zero padding too. There y differs from
/// it by |L|^terms / terms! |x| at most: it keeps norms up to that factor.
///
/// Costs terms - 1 convolutions forward. Backward is the adjoint of the series: as many for x, and
/// one gradient of the weights over all terms at once. Kept for it are x, and the terms - 2 images
/// between where together they fit 16 MiB; larger ones are computed again, to the same bits.
/// Lipschitz: 1 + |L|^terms / terms! for a skew L.
///
/// @param x      activations, [N, H, W, C], f32 or f64
/// @param l      kernel, [C, h, w, C / groups], h and w odd; with circular borders its reach
///               h / 2 dilation is at most H, and w / 2 dilation at most W
/// @param terms  >= 1
/// @param dilation  distance of neighbouring taps, >= 1
/// @throws ShapeError  if the shapes or types do not fit; ValueError if terms or dilation are
///                     below 1 or a circular border larger than the image
Var conv_exp(const Var& x, const Var& l, int terms, PadMode border, std::int64_t groups = 1,
             std::int64_t dilation = 1);

/// A bound of the norm of that sum for any L: with |L + L^T| / 2 <= skewness and |L| <= norm,
///
///     |y| <= exp(skewness) (1 + norm^terms / terms!) |x|,
///
/// for y = exp(L) x - R x and R = integral_0^1 (1 - s)^(terms - 1) / (terms - 1)! L^terms exp(s L).
/// Computed with every rounding on the safe side.
double exp_series_bound(double norm, double skewness, int terms);

/// Likewise a lower bound of |y| / |x|: exp(-skewness) - exp(skewness) norm^terms / terms!, or 0.
double exp_series_lower(double norm, double skewness, int terms);

}  // namespace isotape
