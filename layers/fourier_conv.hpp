#pragma once

#include <string_view>

#include <isotape/layers/derived.hpp>
#include <isotape/layers/module.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/layers/torus.hpp>

namespace isotape {

/// What makes the matrices of a convolution's frequencies orthogonal.
struct FrequencyMap {
  std::string_view name;
  /// [F, I, O, 2] to matrices with orthonormal columns, or rows.
  Var (*apply)(const Var& symbol);
  /// Whether the kernel is raw / |raw| times a learned length (where apply depends on the scale).
  bool learns_length;
  double defect;  ///< what is stated of |Q_f^H Q_f - I|, beyond rounding
};

/// Convolution on the torus of one image size whose kernel is as large as the image: the matrix of
/// each frequency of a raw k x k kernel is made orthogonal by itself [Trockman 2021].
///
/// With stride s it acts behind a pixel unshuffle, with a raw kernel of max(1, k/s). Parameters:
/// raw [O, k, k, C s^2], uniform in +-1/sqrt(C s^2 k^2) at first, length [1] where the map learns
/// it, bias [O]. A plain copy has the matrices themselves, `symbol` [F, C s^2, O, 2].
///
/// Lipschitz: 1 in l2; GNP: both for C s^2 = O, forward below, backward above.
class FourierConv2d final : public Module {
 public:
  /// @throws ValueError  if an extent is not positive; ShapeError if the stride does not divide the
  ///                     image
  FourierConv2d(const Torus& torus, std::int64_t c_out, int kernel, const FrequencyMap& map,
                Rng& rng, bool with_bias = true);
  /// A plain convolution by given matrices [F, C s^2, O, 2] and bias [O] (or none).
  FourierConv2d(const Torus& torus, Tensor symbol, Tensor bias);

  Var forward(const Var& x) const override;
  Unbiased forward_unbiased(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "FourierConv2d"; }
  std::string describe() const override;
  Enclosure enclosure() const override;
  NormPreservation gnp() const override;
  Spectrum spectrum(const Shape& input) const override;
  Residual residual() const override;
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  void collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const override;
  void derive() const override { symbol(); }

  /// The matrices in use, [F, C s^2, O, 2], folded.
  Tensor folded_symbol() const;

 private:
  Var symbol() const;
  std::vector<Parameter*> sources() const;
  Torus torus_;
  std::int64_t c_out_;
  int k_;
  const FrequencyMap* map_;  // null: plain
  mutable Parameter raw_;    // or the matrices themselves
  mutable Parameter length_;
  mutable Parameter bias_;
  Derived derived_;
};

/// The build function of its types.
std::unique_ptr<Module> build_fourier_conv(Site& site, const FrequencyMap& map);

/// The torus of the site's input and its option `stride`.
Torus torus_of(Site& site);

}  // namespace isotape
