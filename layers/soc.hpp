#pragma once

#include <isotape/layers/registry.hpp>
#include <isotape/layers/square.hpp>
#include <isotape/layers/weight.hpp>
#include <isotape/ops/frame.hpp>

namespace isotape {

struct SocOptions {
  int kernel = 3;       ///< odd, on the pixels that it sees
  int terms = 12;       ///< of the series
  int train_terms = 0;  ///< while weights are recorded; 0: as many
  int iterations = 1;   ///< of the power iteration, per training step
  PadMode padding = PadMode::circular;
  bool bias = true;
};

/// Skew orthogonal convolution [Singla 2021] on the channels C of a Square:
///
///     y = sum_{i < terms} L^i x / i! + b,   L = c (K - flip(K)^T),
///
/// K = raw / sigma, sigma an estimate of the norm of raw as a matrix of C rows, by a power
/// iteration whose vectors persist, and c = 1.9 / (2 k), so that |L| <= 1.9 but for the estimate's
/// error: |L| <= 2 c k |K| [Singla 2021, of the "fantastic four"]. L is skew to the last bit, under
/// zero padding too, so that exp(L) is orthogonal, and the sum is within |L|^terms / terms! of it,
/// 5e-6 for 12 terms. With groups K has as many blocks, none of a larger norm than all together.
///
/// Lipschitz: 1 + |L|^terms / terms! with |L| proved. GNP: up to that, both ways if c_in s^2 =
/// c_out, backward if it is more, forward if less; under zero padding as under circular.
class Soc final : public Module {
 public:
  Soc(const Square& square, const SocOptions& options, Rng& rng);

  Var forward(const Var& x) const override;
  Unbiased forward_unbiased(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "Soc"; }
  std::string describe() const override;
  Enclosure enclosure() const override;
  NormPreservation gnp() const override;
  Spectrum spectrum(const Shape& input) const override;
  Residual residual() const override;
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  void collect(const std::string& prefix, BufferList& buffers) override;
  void collect(const std::string& prefix, std::vector<NamedWeight>& weights) override;
  void collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const override;
  void derive() const override { generator(); }

  /// The kernel of L in use, [C, k, k, C / groups], folded.
  Tensor folded_generator() const;

 private:
  Soc(const Square& square, const SocOptions& options, Tensor generator);
  Var generator() const;
  Square square_;
  SocOptions options_;
  bool is_plain_ = false;  // the weight is L
  mutable Weight weight_;  // K
  mutable Parameter bias_;
  VersionCache folded_;  // L
};

extern const LayerType soc_type;

}  // namespace isotape
