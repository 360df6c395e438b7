#pragma once

#include <vector>

#include <isotape/layers/derived.hpp>
#include <isotape/layers/module.hpp>
#include <isotape/layers/registry.hpp>
#include <isotape/layers/square.hpp>
#include <isotape/ops/frame.hpp>

namespace isotape {

/// How a convex potential's weight is scaled; see ConvexPotential.
enum class PotentialScale : std::uint8_t {
  norm,      ///< by a bound of the norm of w: CPL
  row_sums,  ///< row by row, by weighted sums of |w w^T|: SLL
};

struct ConvexPotentialOptions {
  PotentialScale scale = PotentialScale::norm;
  std::int64_t inner = 0;  ///< rows of w, a multiple of the groups; 0: as many as channels
  int kernel = 3;          ///< of w, on the pixels that it sees
  PadMode padding = PadMode::circular;
  bool bias = true;
};

/// One step down the gradient of a convex potential, on the channels C of a Square:
///
///     y = x - 2 w^T t^-1 relu(w x + b),   w from C to `inner` channels, t a diagonal,
///
/// with t = s^2, s >= |w| (CPL [Meunier 2022]: y = x - (2 / s^2) W relu(W^T x + b), their W being
/// w^T), or t_i = sum_j sum_d |G_d[i,j]| q_j / q_i, G the Gram kernel of w's rows, q = exp(raw)
/// (SLL [Araujo 2023]). Either has w^T t^-1 w <= 1, and the Jacobian I - 2 w^T t^-1 D w, 0 <= D <=
/// 1, its eigenvalues in [-1, 1].
///
/// With groups w has as many blocks, each with its own s or row sums: the same, side by side.
///
/// Held is v = (2 / t)^1/2 w, and y = x - v^T relu(v x + (2 / t)^1/2 b), the same as relu is
/// homogeneous. So the bound is max(1, |v|^2 - 1) for the rounded v, with |v| proved: as 2 rho - 1
/// with rho = |v|^2 / 2.
/// Lipschitz: that, 1 up to rounding. GNP: no.
class ConvexPotential final : public Module {
 public:
  ConvexPotential(const Square& square, const ConvexPotentialOptions& options, Rng& rng);

  Var forward(const Var& x) const override;
  Shape output_shape(const Shape& input) const override;
  std::string kind() const override { return "ConvexPotential"; }
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
  void derive() const override { derived_.get(sources()); }

 private:
  ConvexPotential(const Square& square, const ConvexPotentialOptions& options, bool is_plain);
  std::vector<Parameter*> sources() const;
  std::vector<double> proving_weights() const;
  double norm() const;
  double norm_squared() const;
  bool is_plain() const { return static_cast<bool>(v_); }
  Square square_;
  ConvexPotentialOptions options_;
  Padding border_;
  mutable Parameter raw_;
  mutable Parameter bias_;
  mutable Parameter log_q_;
  mutable Parameter v_;          // of a plain layer
  std::vector<double> weights_;  // that prove its bound
  Derived derived_;
};

extern const LayerType cpl_type;
extern const LayerType sll_type;

}  // namespace isotape
