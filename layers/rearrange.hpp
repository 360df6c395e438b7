#pragma once

#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// [H, W, C] -> [H/s, W/s, C s^2], channel c s^2 + dy s + dx: an invertible downsampling.
///
/// Lipschitz: 1 in l2; GNP: both, a permutation.
class PixelUnshuffle final : public Module {
 public:
  /// @throws ValueError  if s < 1
  explicit PixelUnshuffle(int s);
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "PixelUnshuffle"; }
  std::string describe() const override;
  Enclosure enclosure() const override { return {1, 1, "a permutation"}; }
  NormPreservation gnp() const override { return NormPreservation::both; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;

 private:
  int s_;
};

/// [H, W, C s^2] -> [H s, W s, C]: the inverse of PixelUnshuffle, an invertible upsampling.
///
/// Lipschitz: 1 in l2; GNP: both, a permutation.
class PixelShuffle final : public Module {
 public:
  /// @throws ValueError  if s < 1
  explicit PixelShuffle(int s);
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "PixelShuffle"; }
  std::string describe() const override;
  Enclosure enclosure() const override { return {1, 1, "a permutation"}; }
  NormPreservation gnp() const override { return NormPreservation::both; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;

 private:
  int s_;
};

/// [H, W, C] -> [C H W], in the order channel, row, column, so that dense weights behind it are
/// PyTorch's without permutation.
///
/// Lipschitz: 1 in l2; GNP: both, a permutation.
class Flatten final : public Module {
 public:
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override { return {input.size()}; }
  std::string kind() const override { return "Flatten"; }
  std::string describe() const override { return "Flatten, channels first"; }
  Enclosure enclosure() const override { return {1, 1, "a permutation"}; }
  NormPreservation gnp() const override { return NormPreservation::both; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
};

extern const LayerType pixel_unshuffle_type;
extern const LayerType pixel_shuffle_type;
extern const LayerType flatten_type;

}  // namespace isotape
