#pragma once

#include <cstdint>
#include <optional>

#include <isotape/layers/weight.hpp>
#include <isotape/ops/frame.hpp>

namespace isotape {

/// What the projectors of a BCOP convolution on c channels are made of. Both reach the same
/// kernels.
enum class Projectors : std::uint8_t {
  square,  ///< the first c/2 columns of the polar factor of a c x c matrix, as H [Li 2019]
  tall,    ///< the orthonormal factor of a c x c/2 matrix, by Cholesky: no iteration, half the work
};

struct BcopOptions {
  int stride = 1;       ///< by pixel unshuffle; must divide the kernel and the image
  bool frozen = false;  ///< raw matrices and bias keep their initial values [Li 2019, "BCOP-Fixed"]
  /// Builds the convolution on 2 max(c_in stride^2, c_out) channels, all of them its output. The
  /// projectors of rank c/2 on c channels then include every BCOP convolution of half as many
  /// channels, whatever the ranks of its projectors: the remedy for the many connected components
  /// of the orthogonal convolutions [Li 2019, theorem 2].
  bool doubled = false;
  bool bias = true;
  Projectors projectors = Projectors::square;
  Bjorck orthogonalization = {};  ///< of H and square projectors; raw_gain, if set, of all
};

/// Orthogonal 2-D convolution under circular padding: block convolution of an orthogonal matrix H
/// with 2 (k - 1) projectors P_i, Q_i, each from the polar factor of a raw c x c matrix [Li 2019],
/// or from a raw c x c/2 one.
///
/// With stride s it is a pixel unshuffle by s followed by a stride-1 convolution of kernel k/s on
/// c_in s^2 channels, computed as one convolution of stride s; raw is [2(k/s - 1) + 1, c, c], H,
/// P1, Q1, ..., c = max(c_in s^2, c_out). With tall projectors raw is [1, c, c], H alone, and the
/// parameter `projectors` is [2(k/s - 1), c, floor(c/2)]; where this is empty (k = s or c = 1)
/// there is none. The reference's mask of columns, kernel orientation and padding (k/2 before,
/// (k-1)/2 after).
///
/// Lipschitz: 1 in l2; GNP: both for c_in s^2 = c_out, forward below, backward above [Li 2019].
class BcopConv2d final : public Module {
 public:
  /// @throws ValueError  if an extent is not positive or stride does not divide kernel
  BcopConv2d(std::int64_t c_in, std::int64_t c_out, int kernel, Rng& rng, BcopOptions options = {});

  Var forward(const Var& x) const override;
  Unbiased forward_unbiased(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "BcopConv2d"; }
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
  void collect(const std::string& prefix, BufferList& buffers) override;
  void collect(const std::string& prefix, std::vector<NamedWeight>& weights) override;
  void collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const override;
  void derive() const override { strided_kernel(); }

  int stride() const { return options_.stride; }
  /// The kernel of the stride-1 convolution after the unshuffle, [O, k/s, k/s, c_in s^2], folded.
  Tensor folded_kernel() const;
  /// The kernel of the active recording (as trained with), or the folded one.
  Var kernel() const;

 private:
  Var convolve(const Var& x, const Var& bias) const;
  Var strided(const Var& kernel) const;
  Var strided_kernel() const;
  Padding border() const;
  std::int64_t c_in_;
  std::int64_t c_out_;
  int k_;
  BcopOptions options_;
  std::int64_t unshuffled_;  // c_in stride^2
  Var kernel_of(const Var& raw_weight, const Var& projectors) const;
  bool is_recorded() const;
  std::uint64_t version() const;
  mutable Weight weight_;
  mutable std::optional<Weight> projectors_;  // the bases R, if tall
  mutable Parameter bias_;
  VersionCache folded_;
  VersionCache strided_;
};

extern const LayerType bcop_type;

}  // namespace isotape
