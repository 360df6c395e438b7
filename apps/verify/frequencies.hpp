#pragma once

#include <isotape/apps/verify/block.hpp>
#include <isotape/apps/verify/enclosure.hpp>

namespace isotape::verify {

// Maps by the frequencies of images of one size: `frequencies` and `frequency_sandwich`.

/// Fill in a layer but for `op` and `in`.
/// @throws Failure  if the matrices do not fit
void resolve_frequencies(Layer& layer, const WeightsFile& weights);
void resolve_frequency_sandwich(Layer& layer, const WeightsFile& weights);

/// 0 and a bound of the norms of all matrices.
Enclosure frequencies_enclosure(const Layer& layer, const WeightsFile& weights);

/// U^T Q U x + b, U the discrete Fourier transform.
Block frequencies(const Layer& layer, const Block& x);

}  // namespace isotape::verify
