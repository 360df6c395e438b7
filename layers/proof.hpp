#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <isotape/layers/bound.hpp>

namespace isotape {

// How the Lipschitz constant of a network in l2 is proved: a tree, whose lines each follow from the
// lines below them by one rule, and at the leaves from the weights of a layer.

/// One line of a proof: limits of the singular values of a part's Jacobian, the rule by which they
/// follow, and the lines they follow from; none for a layer, whose rule starts from its weights.
struct Proof {
  std::string name;  ///< in its container: "conv1"; of the whole: "net"
  std::string kind;  ///< "Conv2d", "Sequential"
  Enclosure enclosure;
  std::vector<Proof> parts;

  Bound bound() const { return {enclosure.upper, enclosure.rule}; }
};

/// A line that follows from no others.
Proof proof_line(std::string name, std::string kind, Enclosure enclosure);

/// What a join of branches or layers does to limits. L_i, l_i are upper and lower ends.
enum class Composition : std::uint8_t {
  chain,   ///< one behind the other: L = prod L_i, l = prod l_i
  split,   ///< each on its share of the input, outputs concatenated: L = max L_i, l = min l_i
  concat,  ///< one input, outputs concatenated: L = sqrt(sum L_i^2), l = 0 (of one: its l)
  sum,     ///< one input, outputs added: L = sum L_i, l = 0 (of one: its l)
};

/// Composes the lines of the parts, rounded outwards. The lower ends multiply, or the least holds,
/// only where every part has at least as many outputs as inputs, or every part at most as many: the
/// singular values that they limit are then of one side.
///
/// @param one_sided  whether that is so; else the lower end is 0
Proof compose(Composition rule, std::string kind, std::vector<Proof> parts, bool one_sided);

/// Of (1 - a) x + a f(x): L = (1 - a) + a L_f, l = max(0, (1 - a) - a L_f).
/// @param share  a, in [0, 1]
Proof convex_combination(std::string kind, Proof body, double share);

/// Of f((x - mean) / deviation), channel by channel: L = L_f / min deviation, l = l_f / max.
/// @param deviations  > 0, at least one
/// @throws ValueError  if there is none, or one is not positive and finite
Proof behind_input_scaling(Proof net, const std::vector<double>& deviations);

}  // namespace isotape
