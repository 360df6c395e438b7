#pragma once

#include <isotape/layers/sandwich.hpp>
#include <isotape/layers/torus.hpp>

namespace isotape {

/// The sandwich layer as a convolution on the torus of one image size [Wang 2023, algorithm 1]:
///
///     y = sqrt(2) A^T Psi sigma(sqrt(2) Psi^-1 B x + b),
///
/// A and B the convolutions whose matrices at frequency f are [A_f^T; B_f^T] = cayley_complex of
/// those of a raw kernel, Psi and b one entry per channel. Any size of image, odd sides too. With
/// stride s it acts behind a pixel unshuffle, with a raw kernel of max(1, k/s). Parameters: raw [q,
/// k, k, q + C s^2] (inputs of A^T's part first), uniform in +-1/sqrt((q + C s^2) k^2) as bias [q]
/// is, length [1] of raw, psi [q]. A plain copy has `symbol` [F, q + C s^2, q, 2].
///
/// Lipschitz: gamma^1/2 max_f |[A_f B_f]|^2 in l2, which is gamma^1/2 to rounding. GNP: no.
class SandwichConv2d final : public Module {
 public:
  /// @throws ValueError  if an extent is not positive, or gamma, or for an output layer;
  ///                     ShapeError if the stride does not divide the image
  SandwichConv2d(const Torus& torus, std::int64_t c_out, int kernel, Rng& rng,
                 const SandwichOptions& options = {});

  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "SandwichConv2d"; }
  std::string describe() const override;
  Enclosure enclosure() const override;
  NormPreservation gnp() const override { return NormPreservation::none; }
  Spectrum spectrum(const Shape& input) const override;
  Residual residual() const override;
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  void collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const override;
  void derive() const override { halves(); }

  /// [A_f^T; B_f^T] at every frequency, [F, q + C s^2, q, 2], folded.
  Tensor folded_symbol() const;

 private:
  SandwichConv2d(const SandwichConv2d& original, Tensor symbol, DType dtype);
  Vars halves() const;
  std::vector<Parameter*> sources() const;
  Torus torus_;
  std::int64_t c_out_;
  int k_;
  SandwichOptions options_;
  bool plain_ = false;
  mutable Parameter raw_;
  mutable Parameter length_;
  mutable Parameter psi_;
  mutable Parameter bias_;
  Derived derived_;
};

extern const LayerType sandwich_conv_type;

}  // namespace isotape
