#pragma once

#include <optional>

#include <isotape/layers/ossn.hpp>
#include <isotape/layers/weight.hpp>
#include <isotape/ops/pad.hpp>

namespace isotape {

/// See OneSidedNorm.
struct OneSidedOptions {
  int iterations = 10;
  Shape image;  ///< [H, W, C]
};

/// See clip_singular_values(): when and how often.
struct ClipOptions {
  int every = 100;       ///< steps; and at the end of an epoch
  int projections = 50;  ///< each time
  Shape image;           ///< [H, W, C]
};

struct Conv2dLayerOptions {
  int stride = 1;
  int groups = 1;
  int dilation = 1;
  PadMode padding_mode = PadMode::circular;
  /// Pixels added before and after; unset: as many as keep the size at stride 1, one more in front
  /// where the kernel is even.
  std::optional<Padding> padding = std::nullopt;
  bool bias = true;
  std::optional<OneSidedOptions> one_sided = std::nullopt;  ///< of a free kernel
  std::optional<ClipOptions> clip = std::nullopt;           ///< of a free kernel
};

/// 2-D convolution (cross-correlation) whose kernel, reshaped to the matrix [O, I/groups k k], is
/// under a parametrization and then divided by ceil(k / a), a = stride / gcd(stride, dilation): a
/// pixel meets every a-th tap along an axis, at most ceil(k / a)^2 patches, so a matrix of norm 1
/// then gives an operator of norm at most 1 (without dilation, a is the stride). With
/// bjorck this is the reshaped-kernel orthogonalization RKO [Li 2019]. A free kernel is not
/// divided, but may be normalised on one side or clipped by a schedule.
///
/// Lipschitz: bounded from the kernel itself, for circular and zero padding and any image size.
/// GNP: no guarantee (RKO keeps norms exactly only where O >= I k k).
class Conv2d final : public Module {
 public:
  /// @throws ValueError  if an extent is not positive or groups do not divide the channels
  Conv2d(std::int64_t c_in, std::int64_t c_out, int kernel, const Parametrization& parametrization,
         Rng& rng, Conv2dLayerOptions options = {});

  /// A free convolution with the given kernel [O, k, k, I/groups] and bias [O] (or none).
  Conv2d(Tensor kernel, Tensor bias, Conv2dLayerOptions options);

  Var forward(const Var& x) const override;
  Unbiased forward_unbiased(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "Conv2d"; }
  std::string describe() const override;
  Enclosure enclosure() const override;
  Enclosure enclosure_at(const Shape& input) const override;
  NormPreservation gnp() const override { return NormPreservation::none; }
  Spectrum spectrum(const Shape& input) const override;
  Residual residual() const override { return weight_.residual(); }
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  void collect(const std::string& prefix, BufferList& buffers) override;
  void collect(const std::string& prefix, std::vector<NamedWeight>& weights) override;
  void collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const override;
  void derive() const override { kernel(); }
  void project(std::int64_t step, bool epoch_ended) override;

  /// The kernel in use, [O, k, k, I/groups], folded.
  Tensor folded_kernel() const;

 private:
  void check() const;
  Var kernel() const;
  Var scaled(const Var& weight) const;
  bool is_scaled() const { return divisor() != 1 || one_sided_; }
  std::uint64_t version() const;
  Conv2dOptions convolution() const;
  Var convolve(const Var& x, const Var& bias) const;
  double divisor() const;
  bool is_circulant() const;
  std::int64_t c_in_;
  std::int64_t c_out_;
  int k_;
  Conv2dLayerOptions options_;
  Padding padding_;
  mutable Weight weight_;
  mutable Parameter bias_;
  mutable std::optional<OneSidedNorm> one_sided_;  // moves on with each recording
  VersionCache folded_;                            // the kernel in use, if it is scaled
};

/// The options stride, groups, dilation, padding and bias of a convolution. With a stride that
/// divides the kernel it pads as many pixels as make the output 1/stride of the input.
Conv2dLayerOptions conv_options(Site& site, int kernel);

/// A convolution of a type that is a constraint of its reshaped kernel.
std::unique_ptr<Module> build_conv(Site& site, Parametrization (*constraint)(Site&));

extern const LayerType conv_type;
extern const LayerType rko_type;

}  // namespace isotape
