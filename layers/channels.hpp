#pragma once

#include <string>

#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// Appends channels of zeros, up to `channels`.
///
/// Lipschitz: 1 in l2; GNP: forward, an isometry (both if nothing is appended).
class ChannelPad final : public Module {
 public:
  /// @param from  channels of the input
  /// @throws ValueError  unless 1 <= from <= channels
  ChannelPad(std::int64_t from, std::int64_t channels);
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "ChannelPad"; }
  std::string describe() const override;
  Enclosure enclosure() const override { return {1, 1, "an isometry"}; }
  NormPreservation gnp() const override;
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;

 private:
  std::int64_t from_, channels_;
};

/// Deals the channels of equal groups out in turn [Zhang 2018], see channel_shuffle().
///
/// Lipschitz: 1 in l2; GNP: both, a permutation.
class ChannelShuffle final : public Module {
 public:
  /// @throws ValueError  if groups < 1
  explicit ChannelShuffle(std::int64_t groups);
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "ChannelShuffle"; }
  std::string describe() const override;
  Enclosure enclosure() const override { return {1, 1, "a permutation"}; }
  NormPreservation gnp() const override { return NormPreservation::both; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;

 private:
  std::int64_t groups_;
};

extern const LayerType channel_pad_type;
extern const LayerType channel_shuffle_type;

}  // namespace isotape
