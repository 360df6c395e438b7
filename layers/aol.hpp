#pragma once

#include <vector>

#include <isotape/layers/derived.hpp>
#include <isotape/layers/module.hpp>
#include <isotape/layers/parametrization.hpp>
#include <isotape/layers/registry.hpp>
#include <isotape/ops/conv2d.hpp>

namespace isotape {

/// The raw matrix with columns divided by sqrt(t_j), t_j = sum_k |W^T W|_jk: "almost orthogonal"
/// [Prach & Lampert 2022]. On the side of the inputs, as in the paper; peers have it on either.
/// Raw matrices start orthogonal, where t = 1 but for a small rest.
class Aol final : public MatrixMap {
 public:
  std::string name() const override { return "aol"; }
  Tensor initial(const Shape& shape, Rng& rng) const override;
  Var apply(const Var& raw) const override;
};

struct AolOptions {
  int kernel = 3;  ///< on the unshuffled pixels
  int stride = 1;
  int groups = 1;
  int dilation = 1;  ///< at stride 1
  PadMode padding = PadMode::circular;
  bool bias = true;
};

/// The convolution with a kernel whose input channels are divided by sqrt(t_i), t_i = sum_j sum_d
/// |G_d[i,j]| with the Gram kernel G of the inputs. A stride unshuffles pixels first, so that the
/// Gram kernel is that of the strided convolution. Channels of different groups do not meet in G,
/// and a dilation only moves its taps apart. The kernel starts as the identity on the
/// channels that there are, as in the authors' code; input channels beyond the outputs start
/// random, where theirs stay zero for good.
///
/// Lipschitz: 1 up to rounding, proved by the theorem for the rounded kernel with weights sqrt(t).
/// GNP: no.
class AolConv2d final : public Module {
 public:
  AolConv2d(std::int64_t c_in, std::int64_t c_out, const AolOptions& options, Rng& rng);

  Var forward(const Var& x) const override;
  Unbiased forward_unbiased(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "AolConv2d"; }
  std::string describe() const override;
  Enclosure enclosure() const override;
  Enclosure enclosure_at(const Shape& input) const override;
  NormPreservation gnp() const override { return NormPreservation::none; }
  Spectrum spectrum(const Shape& input) const override;
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  void collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const override;
  void derive() const override { derived_.get({&raw_}); }

 private:
  AolConv2d(Tensor kernel, Tensor bias, const AolConv2d& other);
  std::vector<double> proving_weights() const;
  Conv2dOptions convolution() const;
  std::int64_t c_in_;
  AolOptions options_;
  Padding border_;
  bool is_plain_ = false;
  mutable Parameter raw_;  // [O, k, k, s^2 I / groups]
  mutable Parameter bias_;
  std::vector<double> weights_;  // that prove the bound of a plain layer
  Derived derived_;
};

extern const LayerType aol_type;

}  // namespace isotape
