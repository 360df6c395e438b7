#pragma once

#include <cstdint>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/layers/module.hpp>

namespace isotape {

// The spectrum of a network's Jacobian J at an input: all its singular values are 1 in a network
// that keeps the norm of gradients ("dynamical isometry", [Pennington 2017]).

/// Singular values of the Jacobian of the folded net at each of N inputs, computed in f64 through
/// all of its rows, one backward pass each, or columns, one forward-mode pass each: whichever are
/// fewer. To rounding; not an enclosure.
///
/// @param net  folded in f64, as materialize(DType::f64) gives it
/// @param x    [N, ...], f64
/// @return     for each input min(inputs, outputs) values, descending
/// @throws NumericError  if an entry of a Jacobian is not finite
std::vector<std::vector<double>> jacobian_singular_values(const Module& net, const Tensor& x);

/// An estimate of how the squares of singular values are distributed.
struct SpectralDensity {
  std::vector<double> sigma;   ///< nodes, descending
  std::vector<double> weight;  ///< share of the singular values near each, sum 1
  /// Least s such that at least this share of the values is estimated to be <= s.
  double quantile(double share) const;
};

/// Stochastic Lanczos quadrature [Golub 1969; Ubaru 2017] for Jacobians too large to write down:
/// `steps` steps of Lanczos with full reorthogonalization on J J^T (or J^T J, if smaller), from
/// each of `probes` random unit vectors; the nodes are the Ritz values, the weights the squares of
/// the first entries of their vectors. Each step is one forward-mode and one backward pass. The
/// largest node is a lower estimate of the norm.
///
/// @param x      one input, [1, ...], f64
/// @param steps  >= 1; at most the smaller side is used
/// @throws NumericError  if a product with the Jacobian is not finite
SpectralDensity jacobian_density(const Module& net, const Tensor& x, int steps, int probes,
                                 Rng& rng);

}  // namespace isotape
