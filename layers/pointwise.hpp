#pragma once

#include <algorithm>
#include <string>

#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>
#include <isotape/ops/max_min.hpp>

namespace isotape {

/// Sorts all channels of a pixel, descending [Anil 2019].
///
/// Lipschitz: 1 in l2; GNP: both, a permutation at every point.
class FullSort final : public Module {
 public:
  Var forward(const Var& x) const override;
  bool adds_bias() const override { return true; }
  Var forward_consuming(Var x, const Var& bias) const override;
  Shape output_shape(const Shape& input) const override { return input; }
  std::string kind() const override { return "FullSort"; }
  std::string describe() const override { return "FullSort"; }
  Enclosure enclosure() const override { return {1, 1, "a permutation at every point"}; }
  NormPreservation gnp() const override { return NormPreservation::both; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
};

/// x where x > 0, slope x elsewhere [Maas 2013].
///
/// Lipschitz: max(1, slope) in l2; GNP: no, but for slope 1.
class LeakyReLU final : public Module {
 public:
  /// @throws ValueError  unless slope is in [0, 1]
  explicit LeakyReLU(double slope);
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override { return input; }
  std::string kind() const override { return "LeakyReLU"; }
  std::string describe() const override;
  /// The slope as it is in f64 and in f32.
  Enclosure enclosure() const override {
    return {std::min(slope_, double(static_cast<float>(slope_))), 1,
            "slopes between its own and 1"};
  }
  NormPreservation gnp() const override { return NormPreservation::none; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;

 private:
  double slope_;
};

/// The largest of each group of channels [Goodfellow 2013].
///
/// Lipschitz: 1 in l2; GNP: backward, J J^T = I (both for groups of 1).
class Maxout final : public Module {
 public:
  /// @throws ValueError  if size < 1
  explicit Maxout(int size, Pairing pairing = Pairing::split);
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "Maxout"; }
  std::string describe() const override;
  Enclosure enclosure() const override { return {1, 1, "a selection at every point"}; }
  NormPreservation gnp() const override;
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;

 private:
  int size_;
  Pairing pairing_;
};

extern const LayerType fullsort_type;
extern const LayerType leaky_relu_type;
extern const LayerType maxout_type;

}  // namespace isotape
