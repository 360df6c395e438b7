#pragma once

#include <optional>

#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/registry.hpp>
#include <isotape/layers/weight.hpp>

namespace isotape {

/// Orthogonal convolution with a stride of its own, groups and dilation [Boissin 2025, "AOC"]:
///
///     kernel = M # B,   (X # Y)[p] = sum_a X[a] Y[p - a],
///
/// B a BCOP kernel of k - s + 1 taps a side from c_in to c channels, and M an orthogonal matrix
/// [c_out, s s c] read as a kernel of s x s taps: at stride s its patches do not overlap, so it is
/// orthogonal, too. c = max(c_in, floor(c_out / s^2)) lets both keep norms the same way. At stride
/// 1 it is B alone, from c_in to c_out; where k = s, M alone. Every group is a convolution of its
/// own.
///
/// Parameters: raw [groups (2 (k - s) + 1), m, m], those of BCOP one group after the other, and
/// patches [groups, c_out / groups, s s c]; none that has no part in the kernel.
///
/// Lipschitz: 1 in l2. GNP under circular padding: both ways if c_in s^2 = c_out, backward if it is
/// more, forward if less; under zero padding none.
class Aoc final : public Module {
 public:
  /// @param options  conv.padding is ignored: as many pixels as make the output 1/stride of the
  ///                 input
  /// @throws ValueError  if an extent is not positive, groups do not divide the channels, the
  ///                     stride exceeds the kernel, or both stride and dilation exceed 1
  Aoc(std::int64_t c_in, std::int64_t c_out, int kernel, const Bjorck& orthogonalization, Rng& rng,
      Conv2dLayerOptions options = {});

  Var forward(const Var& x) const override;
  Unbiased forward_unbiased(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "Aoc"; }
  std::string describe() const override;
  Enclosure enclosure() const override;
  Enclosure enclosure_at(const Shape& input) const override;
  NormPreservation gnp() const override;
  Spectrum spectrum(const Shape& input) const override;
  Residual residual() const override;
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  void collect(const std::string& prefix, std::vector<NamedWeight>& weights) override;
  void collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const override;
  void derive() const override { kernel(); }

  /// The kernel in use, [O, k, k, I / groups], folded.
  Tensor folded_kernel() const;

 private:
  Var kernel() const;
  Var kernel_of(const Var& matrices, const Var& patches) const;
  std::uint64_t version() const;
  bool is_recorded() const;
  Var convolve(const Var& x, const Var& bias) const;
  std::int64_t c_in_;
  std::int64_t c_out_;
  int k_;
  Conv2dLayerOptions options_;
  std::int64_t between_;                    // channels of a group between B and M
  mutable std::optional<Weight> matrices_;  // of B
  mutable std::optional<Weight> patches_;   // M
  mutable Parameter bias_;
  VersionCache folded_;
};

extern const LayerType aoc_type;

}  // namespace isotape
