#pragma once

#include <string>

#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>
#include <isotape/ops/pool.hpp>

namespace isotape {

/// The norm of each window of pixels, channel by channel, over the proved share that overlapping
/// windows take, see l2_pool() [Boureau 2010].
///
/// Lipschitz: 1 in l2; GNP: no claim. Where windows do not overlap, gradients keep their norm but
/// for those of windows of zeros (black borders), which have none.
class L2Pool final : public Module {
 public:
  /// @throws ValueError  unless kernel >= 1 and stride >= 0 (0: the kernel)
  explicit L2Pool(const PoolOptions& options);
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "L2Pool"; }
  std::string describe() const override;
  Enclosure enclosure() const override { return {0, 1, "norms of windows over their overlap"}; }
  NormPreservation gnp() const override { return NormPreservation::none; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;

 private:
  PoolOptions options_;
};

/// The sum over each window of pixels, channel by channel, over the proved norm of that map, see
/// average_pool() [Serrurier 2021].
///
/// Lipschitz: 1 in l2; GNP: backward if windows do not overlap.
class AveragePool final : public Module {
 public:
  /// @throws ValueError  unless kernel >= 1 and stride >= 0 (0: the kernel)
  explicit AveragePool(const PoolOptions& options);
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "AveragePool"; }
  std::string describe() const override;
  Enclosure enclosure() const override {
    return {gnp() == NormPreservation::none ? 0.0 : 1.0, 1, "sums over their polyphase norm"};
  }
  NormPreservation gnp() const override;
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;

 private:
  PoolOptions options_;
};

/// [H, W, C] -> [C], the sum over all pixels / sqrt(H W), see global_average_pool().
///
/// Lipschitz: 1 in l2; GNP: backward.
class GlobalAveragePool final : public Module {
 public:
  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "GlobalAveragePool"; }
  std::string describe() const override { return "GlobalAveragePool"; }
  Enclosure enclosure() const override { return {1, 1, "rows of norm 1, one per channel"}; }
  NormPreservation gnp() const override { return NormPreservation::backward; }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
};

extern const LayerType l2pool_type;
extern const LayerType avgpool_type;
extern const LayerType global_avgpool_type;

}  // namespace isotape
