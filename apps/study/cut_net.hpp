#pragma once

#include <cstdint>
#include <string_view>

#include <isotape/layers/model.hpp>

namespace isotape {

/// A folded net cut behind one of its layers: the representation of an input there, and what the
/// net makes of a representation.
class CutNet {
 public:
  /// @param model  must outlive it
  /// @throws ValueError  unless the layer is a part of the net's own chain
  CutNet(const Model& model, std::string_view layer);

  /// Number m of activations.
  std::int64_t width() const { return shape_.size(); }
  /// @param inputs  [n, ...]
  /// @return        [n, m], f32
  Tensor activations(const Tensor& inputs) const;
  /// @param activations  [n, m]
  /// @return             [n, C], f64
  Tensor logits(const Tensor& activations) const;
  /// Of the layers behind the cut.
  std::int64_t parameters_behind() const;

 private:
  const Model& model_;
  std::size_t behind_;  // the first part behind the cut
  Shape shape_;         // of one representation
};

}  // namespace isotape
