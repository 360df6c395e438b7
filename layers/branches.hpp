#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>
#include <isotape/layers/sequential.hpp>

namespace isotape {

/// How branches share an input and join their outputs; L_i are their bounds.
enum class Join : std::uint8_t {
  sum,     ///< all of x to each, outputs added: L = sum L_i
  concat,  ///< all of x to each, outputs concatenated by channels: L = sqrt(sum L_i^2)
  split,   ///< equal shares of the channels, in order, outputs concatenated: L = max L_i
};

/// Named branches side by side; names of their parts join with dots. With two branches, split, the
/// first of them the identity: a concatenating residual.
///
/// Lipschitz: by the join, rounded up. GNP: split: what all branches keep; else none, but of a
/// single branch.
class Branches final : public Module {
 public:
  explicit Branches(Join join) : join_(join) {}

  /// @throws ValueError  if the name is empty, taken, or holds a dot
  Branches& add(std::string name, std::unique_ptr<Module> module);

  Var forward(const Var& x) const override;
  /// @throws ShapeError  if a branch does not accept its input or the outputs do not join
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override;
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
  std::vector<Module*> children() override { return modules_of(parts_); }

 private:
  Shape input_of_branch(const Shape& input) const;
  std::vector<Sequential::Part> parts_;
  Join join_;
};

extern const LayerType sum_type;
extern const LayerType concat_type;
extern const LayerType split_type;
extern const LayerType concat_residual_type;

}  // namespace isotape
