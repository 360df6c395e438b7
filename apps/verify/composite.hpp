#pragma once

#include <isotape/apps/verify/network.hpp>

namespace isotape::verify {

// Operations of more than one linear map, whose bound is not the product of theirs: `potential`,
// `skew_exp`, `sandwich`; and `frequency_sandwich`, see frequencies.hpp.

bool is_composite(const Operation& operation);

/// Fill in a layer but for `op` and `in`.
/// @throws Failure  if the weights do not fit
void resolve_potential(Layer& layer, const WeightsFile& weights);
void resolve_skew_exp(Layer& layer, const WeightsFile& weights);
void resolve_sandwich(Layer& layer, const WeightsFile& weights);

/// Fills in what the activation of a sandwich needs: bias, scale, added.
void resolve_activation(Layer& layer, const WeightsFile& weights);

/// >= the Lipschitz constant of a composite layer, from the sigma that it records.
double composite_lipschitz(const Layer& layer);

}  // namespace isotape::verify
