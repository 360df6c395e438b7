#pragma once

#include <cstdint>

#include <isotape/layers/sequential.hpp>

namespace isotape {

/// A proved bound of a dense net by diagonal multipliers, beside the product of its layers' norms.
struct LipSdp {
  Bound bound;              ///< the lesser of both
  double product = 0;       ///< of the layers' norms, proved
  std::int64_t hidden = 0;  ///< neurons, one multiplier each
  std::int64_t steps = 0;   ///< of the search for the multipliers
};

/// Bounds a net of dense layers W_0, ..., W_l with relu or leaky-relu between them, "LipSDP-Neuron"
/// [Fazlyab 2019, theorem 2]: whatever slopes in [0, 1] the neurons have, |f(x) - f(y)| <= L |x -
/// y| if for some diagonal T_1, ..., T_l >= 0
///
///     P = [ L^2 I     -W_0^T T_1              ]
///         [ -T_1 W_0   2 T_1    -W_1^T T_2    ]   is positive semidefinite.
///         [           -T_2 W_1   2 T_2   ...  ]
///         [                       ...      I  ]
///
/// The multipliers are looked for by gradient descent, which proves nothing; then P is proved by a
/// Cholesky factor whose residual is bounded, every rounding charged to L. Weights are the folded
/// ones. A layer that only flattens may stand in front. Multipliers off the diagonal, as the paper
/// also proposes, do not prove a bound [Pauli 2021].
///
/// @param steps  of the search, >= 0; 0: one multiplier per layer, from the norms behind it
/// @throws ValueError  for any other layer, naming it, or more than 4096 rows of P
LipSdp lipsdp(const Sequential& net, std::int64_t steps = 300);

}  // namespace isotape
