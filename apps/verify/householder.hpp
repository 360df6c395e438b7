#pragma once

#include <isotape/apps/verify/block.hpp>

namespace isotape::verify {

/// Fills in a layer but for `op` and `in`.
/// @throws Failure  if the angles do not fit
void resolve_householder(Layer& layer, const WeightsFile& weights);

/// The turns and reflections of pairs of channels.
Block householder(const Layer& layer, const Block& x);

}  // namespace isotape::verify
