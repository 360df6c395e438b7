#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <isotape/layers/sequential.hpp>

namespace isotape {

/// While it lives, keeps what named parts return in the first forward pass of this thread, for a
/// loss on activations. The pass itself computes the same, but that a bias behind which something
/// watches is added at once.
class Watch {
 public:
  explicit Watch(const std::vector<const Module*>& modules);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// What the module returned; absent if it has not been reached.
  Var seen(const Module* module) const;

  /// For chains: whether somebody watches the module, and what it returned.
  static bool is_watched(const Module* module);
  static void note(const Module* module, const Var& y);

 private:
  std::vector<std::pair<const Module*, Var>> seen_;
  Watch* previous_;
};

/// A part of a chain, or of a chain in it ("block1.conv2"), and the shape of what it returns for
/// one sample.
struct FoundPart {
  const Module* module;
  Shape output;
};
/// @param input  shape of one sample
/// @throws ValueError  `low-rank: expected a layer among fc1, act1, fc2, got 'fc3'`
FoundPart find_part(std::string_view who, const Sequential& net, std::string_view name,
                    const Shape& input);

}  // namespace isotape
