#pragma once

#include <vector>

#include <isotape/apps/verify/network.hpp>

namespace isotape::verify {

/// What a network makes of inputs, in plain f64 loops over blocks of inputs, none of which depends
/// on another.
///
/// @param inputs  [N][size of the input]
/// @return        [N][size of the output]
std::vector<std::vector<double>> forward(const Network& network,
                                         const std::vector<std::vector<double>>& inputs);

}  // namespace isotape::verify
