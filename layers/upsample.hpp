#pragma once

#include <string>

#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {

/// Repeats every pixel in squares of s x s, see upsample_nearest().
///
/// Lipschitz: s in l2, exactly: every norm is multiplied by s. GNP: both if s is 1.
class Upsample final : public Module {
 public:
  /// @throws ValueError  if s < 1
  explicit Upsample(int s);
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "Upsample"; }
  std::string describe() const override;
  Enclosure enclosure() const override { return {double(s_), double(s_), "every pixel s^2 times"}; }
  NormPreservation gnp() const override;
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;

 private:
  int s_;
};

extern const LayerType upsample_type;

}  // namespace isotape
