#pragma once

#include <utility>

#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>
#include <isotape/ops/group_sort.hpp>

namespace isotape {

/// Sorts each pair of channels, the larger first [Anil 2019]: by default the pairs (i, i + C/2),
/// all maxima in front.
///
/// Lipschitz: 1 in l2; GNP: both, a permutation at every point.
class MaxMin final : public Module {
 public:
  explicit MaxMin(Pairing pairing = Pairing::split) : pairing_(pairing) {}
  Var forward(const Var& x) const override { return max_min(x, pairing_); }
  bool adds_bias() const override { return true; }
  Var forward_consuming(Var x, const Var& bias) const override {
    return bias_max_min(std::move(x), bias, pairing_);
  }
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "MaxMin"; }
  std::string describe() const override;
  Enclosure enclosure() const override { return {1, 1, "a permutation at every point"}; }
  NormPreservation gnp() const override { return NormPreservation::both; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;

 private:
  Pairing pairing_;
};

/// Sorts groups of `size` channels, descending [Anil 2019].
///
/// Lipschitz: 1 in l2; GNP: both, a permutation at every point.
class GroupSort final : public Module {
 public:
  /// @throws ValueError  if size < 1
  explicit GroupSort(int size, Pairing pairing = Pairing::split);
  Var forward(const Var& x) const override { return group_sort(x, size_, pairing_); }
  bool adds_bias() const override { return true; }
  Var forward_consuming(Var x, const Var& bias) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "GroupSort"; }
  std::string describe() const override;
  Enclosure enclosure() const override { return {1, 1, "a permutation at every point"}; }
  NormPreservation gnp() const override { return NormPreservation::both; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;

 private:
  int size_;
  Pairing pairing_;
};

/// |x|, with derivative +1 at 0.
///
/// Lipschitz: 1 in l2; GNP: both, a sign at every point.
class Abs final : public Module {
 public:
  Var forward(const Var& x) const override;
  Var forward_consuming(Var x, const Var& bias) const override;
  Shape output_shape(const Shape& input) const override { return input; }
  std::string kind() const override { return "Abs"; }
  std::string describe() const override { return "Abs"; }
  Enclosure enclosure() const override { return {1, 1, "a sign at every point"}; }
  NormPreservation gnp() const override { return NormPreservation::both; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
};

/// max(x, 0), with derivative 0 at 0.
///
/// Lipschitz: 1 in l2; GNP: no, it loses the gradient of every inactive unit.
class ReLU final : public Module {
 public:
  Var forward(const Var& x) const override;
  Var forward_consuming(Var x, const Var& bias) const override;
  Shape output_shape(const Shape& input) const override { return input; }
  std::string kind() const override { return "ReLU"; }
  std::string describe() const override { return "ReLU"; }
  Enclosure enclosure() const override { return {0, 1, "slopes 0 and 1"}; }
  NormPreservation gnp() const override { return NormPreservation::none; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
};

extern const LayerType maxmin_type;
extern const LayerType groupsort_type;
extern const LayerType abs_type;
extern const LayerType relu_type;

}  // namespace isotape
