#pragma once

#include <cstdint>
#include <string>

#include <isotape/layers/proof.hpp>

namespace isotape {

class Module;
struct DenseMap;

/// What certifies predictions: for each pair of logits, a bound of how fast their difference
/// changes with the input. Behind a body of bound L_body, a last dense layer y = W h + b gives |w_i
/// - w_j| L_body; else every pair has sqrt(2) times the bound of the whole net. A prediction y is
/// constant within the minimum over all j != y of (f_y - f_j) / pair_bound(y, j): the runner-up
/// need not attain it. [Leino 2021; Singla 2022]
struct HeadProof {
  bool is_linear =
      false;         ///< whether the last layer is a dense one, behind gains of its own or not
  std::string head;  ///< its name, "blocks.fc" within containers; "" if it is not
  Bound body;        ///< of all before it; of the whole net, if it is not linear
  /// Bounds of |w_i - w_j|, f64 [C, C], rounded up, gains behind the layer included; the diagonal
  /// is 0. Absent if the last layer is not linear.
  Tensor pair_norms;
  Bound net;    ///< of all logits together: Module::lipschitz_bound()
  Proof proof;  ///< of the largest pair_bound(), and what it rests on

  /// A bound of the Lipschitz constant of f_i - f_j in l2, rounded up: 0 for i = j.
  double pair_bound(std::int64_t i, std::int64_t j) const;
};

/// Bounds of |w_i - w_j| of the rows of a dense layer, times a gain >= 0, f64 [C, C], rounded up.
Tensor pair_norms(const DenseMap& dense, double gain = 1);

/// Proves the bounds of a net that ends in a dense layer (within chains of chains, gains behind it
/// allowed), or in any other.
/// @throws NumericError  if a weight is not finite, naming the layer
HeadProof prove_head(const Module& net);
/// The same, with the proof that Module::proof() gave.
HeadProof prove_head(const Module& net, const Proof& proof);

}  // namespace isotape
