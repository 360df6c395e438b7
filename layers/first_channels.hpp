#pragma once

#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// The first channels of its input; the others are dropped.
///
/// Lipschitz: 1 in l2; GNP: backward, a projection.
class FirstChannels final : public Module {
 public:
  /// @throws ValueError  if out < 1
  explicit FirstChannels(std::int64_t out);
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "FirstChannels"; }
  std::string describe() const override;
  Enclosure enclosure() const override { return {1, 1, "a projection"}; }
  NormPreservation gnp() const override { return NormPreservation::backward; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;

 private:
  std::int64_t out_;
};

extern const LayerType first_channels_type;

}  // namespace isotape
