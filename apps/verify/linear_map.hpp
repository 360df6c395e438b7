#pragma once

#include <string>
#include <vector>

#include <isotape/apps/verify/network.hpp>

namespace isotape::verify {

// The parts of resolve() that linear maps and what is made of them share.

/// @throws Failure  `NAME (OP): expected ..., found [..]` unless it holds
void expect(bool holds, const Operation& o, const std::string& expected, const Extents& found);

/// Whether an activation has at most 2^22 entries.
bool fits(const Extents& x);

/// >= the norm of these numbers.
double norm_up(const std::vector<double>& x);

/// >= the root of the largest row sum times the largest column sum of |W|, [filters, inputs, taps].
double absolute_bound(const std::vector<float>& w, std::int64_t filters, std::int64_t inputs,
                      std::int64_t taps, std::int64_t groups);

/// Fills in `bias` and `added`, for layer.out.
void add_bias(Layer& layer, const WeightsFile& weights);

/// Fill in a layer but for `op` and `in`.
/// @throws Failure  if the weight does not fit
void resolve_linear(Layer& layer, const WeightsFile& weights);
void resolve_conv(Layer& layer, const WeightsFile& weights);

}  // namespace isotape::verify
