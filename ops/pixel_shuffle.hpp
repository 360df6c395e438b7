#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// Trades resolution for channels [Shi 2016], the inverse of pixel_shuffle:
///
///     y[n, i, j, c s^2 + a s + b] = x[n, i s + a, j s + b, c],   a, b = 0..s-1.
///
/// The channel order is PyTorch's. A convolution of stride s is one of stride 1 behind it.
/// Lipschitz: 1 in l2; GNP: yes, a permutation.
///
/// @param x  activations, [N, H, W, C], H and W multiples of s
/// @param s  >= 1
/// @return   [N, H/s, W/s, C s^2]
/// @throws ShapeError  if x does not divide; ValueError if s < 1
Var pixel_unshuffle(const Var& x, int s);

/// Trades channels for resolution [Shi 2016]: y[n, i s + a, j s + b, c] = x[n, i, j, c s^2 + a s +
/// b].
/// Lipschitz: 1 in l2; GNP: yes, a permutation.
///
/// @param x  activations, [N, H, W, C], C a multiple of s^2
/// @param s  >= 1
/// @return   [N, H s, W s, C/s^2]
/// @throws ShapeError  if x does not divide; ValueError if s < 1
Var pixel_shuffle(const Var& x, int s);

}  // namespace isotape
