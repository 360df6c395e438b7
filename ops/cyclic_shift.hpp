#pragma once

#include <vector>

#include <isotape/core/tape.hpp>

namespace isotape {

/// A run of channels and where it moves: down by dy rows and right by dx columns.
struct ChannelShift {
  std::int64_t begin = 0;  ///< channels begin..end-1
  std::int64_t end = 0;
  std::int64_t dy = 0;
  std::int64_t dx = 0;
};

/// Moves runs of channels around the torus; channels in no run stay:
///
///     y[n, i, j, c] = x[n, (i - dy) mod H, (j - dx) mod W, c]
///
/// The gradient is the shift back. Lipschitz: 1 in l2; GNP: yes, a permutation.
///
/// @param x     images [N, H, W, C], f32 or f64
/// @param runs  disjoint, within 0..C
/// @throws ShapeError  if x has another rank; ValueError if runs overlap or leave the channels
Var cyclic_shift(const Var& x, const std::vector<ChannelShift>& runs);

}  // namespace isotape
