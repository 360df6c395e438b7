#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// Zero channels appended, up to `channels` of them.
/// Lipschitz: 1 in l2; GNP: forward, an isometry.
///
/// @param x         at least one axis, [..., C]
/// @param channels  >= C
/// @return          [..., channels]
/// @throws ShapeError  if x has no axis or more channels
Var channel_pad(const Var& x, std::int64_t channels);

/// The channels of `groups` equal groups dealt out in turn [Zhang 2018]:
///
///     y[..., j g + i] = x[..., i C/g + j],   i < g, j < C/g.
///
/// The inverse is channel_shuffle with C/g groups.
/// Lipschitz: 1 in l2; GNP: yes, a permutation.
///
/// @param x       at least one axis, [..., C]
/// @param groups  g >= 1, divides C
/// @return        [..., C]
/// @throws ShapeError  if x has no axis or g does not divide C; ValueError if g < 1
Var channel_shuffle(const Var& x, std::int64_t groups);

}  // namespace isotape
