#pragma once

#include <cstdint>
#include <string_view>

#include <isotape/core/tape.hpp>

namespace isotape {

/// Scalar functions whose slope lies in [0, 1] everywhere.
enum class SlopeRestricted : std::uint8_t {
  relu,      ///< slope 0 at 0
  softplus,  ///< log(1 + exp(x))
  tanh,
  sigmoid,   ///< 1 / (1 + exp(-x)), slope at most 1/4
  identity,  ///< makes the layer linear
};
std::string_view name(SlopeRestricted sigma);
/// @throws ValueError  unless it is "relu", "softplus", "tanh", "sigmoid" or "identity"
SlopeRestricted slope_restricted(std::string_view name);

/// What a sandwich layer does between B x and A^T, per channel of the last axis:
///
///     y = s sigma(u),   u = (2 x + s bias) / s,   s = sqrt(2) exp(d),
///
/// so that the layer sqrt(2) A^T Psi sigma(sqrt(2) Psi^-1 B x + bias), Psi = diag(exp(d)), is A^T
/// y(B x) [Wang 2023, eq. 10]. Where sigma is positively homogeneous (relu, identity), y =
/// sigma(2 x + s bias): nothing is divided, and grad_d = bias grad_bias. One pass each way, in x's
/// own memory where nobody else holds it.
///
///     m = sigma'(u):   grad_x = 2 m dy,   grad_bias = sum s m dy,   grad_d = sum (y - 2 m x) dy
///
/// Lipschitz: 2 in l2; GNP: no.
///
/// @param x     at least one axis, [..., C], f32 or f64
/// @param d     [C], or absent for zeros
/// @param bias  [C], or absent
/// @throws ShapeError  if d or bias has another shape or type
Var sandwich_activation(Var x, const Var& d, const Var& bias,
                        SlopeRestricted sigma = SlopeRestricted::relu);

}  // namespace isotape
