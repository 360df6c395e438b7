#pragma once

#include <vector>

#include <isotape/layers/sequential.hpp>

namespace isotape {

/// How long the gradient is at every depth h_0 (the input), h_1, ..., h_n (the output) of a chain
/// of n layers, for single samples, relative to its length at the output:
///
///     log10(|dL_i / dh_l| / |dL_i / dh_n|) = sum over j = l+1..n of log10 g_ij,
///     g_ij = |J_j^T u| with u the unit vector of dL_i / dh_j.
///
/// Summed layer by layer from unit vectors, so that no depth makes it overflow or vanish; in f64,
/// through the folded weights. Minus infinity where no gradient arrives.
///
/// @param net       prepared
/// @param x         [N, ...], inputs
/// @param gradient  [N, ...], dL_i / dh_n; a factor per sample does not matter
/// @return          n + 1 lists of N logarithms, the last all 0 (minus infinity of a zero gradient)
/// @throws ShapeError    if x or the gradient does not fit
/// @throws NumericError  if a gradient is not finite
std::vector<std::vector<double>> log_gradient_norms(const Sequential& net, const Tensor& x,
                                                    const Tensor& gradient);

}  // namespace isotape
