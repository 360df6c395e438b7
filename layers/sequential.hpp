#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// A chain of named modules. Names of parts join with dots: "conv1.raw".
///
/// Lipschitz: the product of the parts' bounds, rounded up.
class Sequential final : public Module {
 public:
  struct Part {
    std::string name;
    std::unique_ptr<Module> module;
  };

  /// Appends a layer: `net.add("fc1", Linear(784, 256, Bjorck{}, rng))`.
  /// @throws ValueError  if the name is empty, taken, or holds a dot
  template <class Layer>
  Sequential& add(std::string name, Layer layer) {
    return add(std::move(name), std::unique_ptr<Module>(new Layer(std::move(layer))));
  }
  Sequential& add(std::string name, std::unique_ptr<Module> module);

  const std::vector<Part>& parts() const { return parts_; }

  /// A bias is added by the activation behind it, in one pass, where the two stand in one chain.
  /// An error of a part is rethrown with the part's name in front.
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "Sequential"; }
  std::string describe() const override;
  Enclosure enclosure() const override;
  Proof proof() const override;
  NormPreservation gnp() const override;
  Residual residual() const override;
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  void collect(const std::string& prefix, BufferList& buffers) override;
  void collect(const std::string& prefix, std::vector<NamedWeight>& weights) override;
  void collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const override;
  void derive() const override;
  std::vector<Module*> children() override;

 private:
  std::vector<Part> parts_;
};

extern const LayerType sequential_type;

/// The proofs of named parts, in order, by their names. An error has the part's name in front.
std::vector<Proof> proofs_of(const std::vector<Sequential::Part>& parts);

/// The modules of named parts, in order.
std::vector<Module*> modules_of(const std::vector<Sequential::Part>& parts);

}  // namespace isotape
