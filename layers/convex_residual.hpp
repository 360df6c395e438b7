#pragma once

#include <memory>
#include <string>
#include <vector>

#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>
#include <isotape/layers/sequential.hpp>

namespace isotape {

/// y = (1 - a) x + a f(x) with a chain f that keeps the shape and a learned share a in [0, 1]
/// [Trockman 2021]: a = 1 / (1 + exp(-mix)).
///
/// Lipschitz: (1 - a) + a L of f, for the a in use; at most 1 where f's is. GNP: no.
class ConvexResidual final : public Module {
 public:
  /// @param share  a to begin with, in (0, 1)
  /// @throws ValueError  if share is out of range
  ConvexResidual(Sequential body, double share);
  Var forward(const Var& x) const override;
  /// @throws ShapeError  if the body does not keep the shape
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "ConvexResidual"; }
  std::string describe() const override;
  /// @throws NumericError  if mix is not finite
  Enclosure enclosure() const override;
  Proof proof() const override;
  NormPreservation gnp() const override { return NormPreservation::none; }
  Residual residual() const override { return body_.residual(); }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  void collect(const std::string& prefix, BufferList& buffers) override;
  void collect(const std::string& prefix, std::vector<NamedWeight>& weights) override;
  void collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const override;
  void derive() const override { body_.derive(); }
  std::vector<Module*> children() override { return {&body_}; }

 private:
  Sequential body_;
  mutable Parameter mix_;
};

extern const LayerType convex_residual_type;

}  // namespace isotape
