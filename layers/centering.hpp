#pragma once

#include <cstdint>
#include <string>

#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// Takes the mean of every channel off, and adds a learned bias: while parameters are recorded the
/// mean of the batch, which also moves a running mean; else (inference, attacks, audits) the
/// running mean, so that a sample's result does not depend on its neighbours.
///
/// Lipschitz: 1 in l2: a translation at inference, and in training, of the batch as one input, a
/// projection. GNP: both at inference.
class BatchCenter final : public Module {
 public:
  /// @param momentum  share of a new batch in the running mean, in (0, 1]
  /// @throws ValueError  if channels < 1 or momentum is out of range
  BatchCenter(std::int64_t channels, double momentum);
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "BatchCenter"; }
  std::string describe() const override;
  /// @throws NumericError  if the running mean or the bias is not finite
  Enclosure enclosure() const override;
  NormPreservation gnp() const override { return NormPreservation::both; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  void collect(const std::string& prefix, BufferList& buffers) override;
  using Module::collect;

 private:
  Tensor shift() const;
  double momentum_;
  mutable Parameter bias_;
  mutable Tensor mean_;
};

/// Takes a mean off every sample by itself: of each channel over all pixels, of each pixel over all
/// channels, or of everything.
///
/// Lipschitz: 1 in l2, an orthogonal projection (the bound 1 + 1 by parts is never reached).
/// GNP: no, the mean's gradient is lost.
class LayerCenter final : public Module {
 public:
  enum class Over : std::uint8_t { pixels, channels, all };
  explicit LayerCenter(Over over) : over_(over) {}
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "LayerCenter"; }
  std::string describe() const override;
  Enclosure enclosure() const override { return {0, 1, "an orthogonal projection"}; }
  NormPreservation gnp() const override { return NormPreservation::none; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;

 private:
  Over over_;
};

extern const LayerType batch_center_type;
extern const LayerType layer_center_type;

}  // namespace isotape
