#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// Mean and (biased) variance of every channel over all other axes, [C] in f64.
struct ChannelMoments {
  Tensor mean, variance;
  std::int64_t samples = 0;  ///< entries per channel
};

/// Accumulates in f64, in an order that depends on the shape only.
/// @param x  at least one axis, [..., C], at least one entry per channel
/// @throws ShapeError  if x has no axis or no entry
ChannelMoments channel_moments(const Tensor& x);

/// Batch normalisation with the moments of x itself [Ioffe 2015]:
///
///     y = gamma (x - mean) / sqrt(variance + epsilon) + beta,   channel by channel.
///
/// Lipschitz: not bounded over x (a small variance is divided by); for nets without a constraint.
///
/// @param x        at least one axis, [..., C]
/// @param gamma    [C], of x's type
/// @param beta     [C], of x's type
/// @param epsilon  > 0
/// @param moments  if given, receives those of x
/// @return         [..., C]
/// @throws ShapeError  if x has no entry or gamma or beta does not fit; ValueError for epsilon <= 0
Var batch_norm(const Var& x, const Var& gamma, const Var& beta, double epsilon,
               ChannelMoments* moments = nullptr);

}  // namespace isotape
