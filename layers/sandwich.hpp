#pragma once

#include <string>

#include <isotape/core/random.hpp>
#include <isotape/layers/derived.hpp>
#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>
#include <isotape/ops/sandwich.hpp>

namespace isotape {

struct SandwichOptions {
  double gamma = 1;  ///< the input is multiplied by sqrt(gamma), > 0: of the first and last layer
  bool output = false;  ///< the last layer: y = B x + b alone
  SlopeRestricted activation = SlopeRestricted::relu;
  bool bias = true;
};

/// An affine map, an activation and another affine map in one 1-Lipschitz layer [Wang 2023, eq.
/// 10]:
///
///     y = sqrt(2) A^T Psi sigma(sqrt(2) Psi^-1 B x + b),   Psi = diag(exp(psi)),
///     [A^T; B^T] = cayley(length raw / |raw|),   A [q, q], B [q, p],
///
/// p inputs, q outputs; or, as the last layer of a net, y = B x + b. Parameters: raw [q + p, q],
/// uniform in +-1/sqrt(p + q) as b is, length [1], psi [q] (none in the last layer), bias [q]. A
/// plain copy has `weight` = [A^T; B^T] instead of raw and length.
///
/// Lipschitz: gamma^1/2 |[A B]|^2 in l2, which is gamma^1/2 to rounding, as A A^T + B B^T = I; the
/// last layer gamma^1/2 |B|. A net of a first layer and a last layer with gamma and others between
/// them has the bound gamma. GNP: no.
class Sandwich final : public Module {
 public:
  /// @throws ValueError  if an extent is not positive, or gamma
  Sandwich(std::int64_t in, std::int64_t out, Rng& rng, const SandwichOptions& options = {});

  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "Sandwich"; }
  std::string describe() const override;
  Enclosure enclosure() const override;
  std::optional<DenseMap> dense_map() const override;
  NormPreservation gnp() const override { return NormPreservation::none; }
  Spectrum spectrum(const Shape& input) const override;
  Residual residual() const override;
  std::unique_ptr<Module> materialize(DType dtype) const override;
  void collect_operations(const std::string& prefix, const Shape& input,
                          std::vector<Operation>& operations) const override;
  void collect(const std::string& prefix, ParameterList& parameters) override;
  void collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const override;
  void derive() const override;

  /// [A^T; B^T], [q + p, q], folded.
  Tensor folded_weight() const;
  const SandwichOptions& options() const { return options_; }

 private:
  Sandwich(const Sandwich& original, Tensor weight, DType dtype);
  Tensor folded_last() const;
  Vars halves() const;   // A^T and B^T
  Vars factors() const;  // what the transform is made of, see cayley_factor; or nothing
  std::vector<Parameter*> sources() const;
  std::int64_t in_;
  std::int64_t out_;
  SandwichOptions options_;
  bool plain_ = false;     // raw is [A^T; B^T] itself
  mutable Parameter raw_;  // forward remembers what is made of it and leaves its value alone
  mutable Parameter length_;
  mutable Parameter psi_;
  mutable Parameter bias_;
  Derived derived_;
  Derived factors_;
};

extern const LayerType sandwich_type;

/// Reads gamma, output, activation and bias. @throws ValueError
SandwichOptions sandwich_options(Site& site);

/// A double not below sqrt(gamma), neither as a double nor rounded to f32.
double root_bound(double gamma);
/// Likewise one not above it.
double lower_root(double gamma);

}  // namespace isotape
