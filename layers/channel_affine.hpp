#pragma once

#include <string>

#include <isotape/layers/module.hpp>

namespace isotape {

/// y = scale x + shift, channel by channel: what a normalisation with running statistics is at
/// inference.
///
/// Lipschitz: max |scale| in l2, exactly; GNP: both where every |scale| is 1.
class ChannelAffine final : public Module {
 public:
  /// @param scale  [C]
  /// @param shift  [C], of its type
  ChannelAffine(Tensor scale, Tensor shift) : scale_(std::move(scale)), shift_(std::move(shift)) {}
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "ChannelAffine"; }
  std::string describe() const override;
  /// @throws NumericError  if an entry is not finite
  Enclosure enclosure() const override;
  NormPreservation gnp() const override;
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  using Module::collect;

 private:
  mutable Parameter scale_;
  mutable Parameter shift_;
};

/// max |scale|. @throws NumericError  if an entry of scale or shift is not finite
Enclosure channel_affine_enclosure(const Tensor& scale, const Tensor& shift);

/// What a layer needs to take off a running mean: an input with these channels.
Shape same_channels(const char* op, std::int64_t channels, const Shape& input);

}  // namespace isotape
