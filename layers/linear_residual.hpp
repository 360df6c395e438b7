#pragma once

#include <string>

#include <isotape/layers/parametrization.hpp>

namespace isotape {

/// The raw kernel plus the identity: y = x + K x as one convolution, whose bound is that of the
/// *summed* kernel, not 1 plus that of K [Hu 2023]. A kernel [c, k, k, c] as the matrix
/// [c, k k c]; the identity stands in its tap (k/2, k/2), which is the pixel itself.
class LinearResidual final : public MatrixMap {
 public:
  /// @param gain  of the initial raw kernel, uniform in +-gain/sqrt(columns)
  explicit LinearResidual(double gain) : gain_(gain) {}
  std::string name() const override { return "linear-residual"; }
  Tensor initial(const Shape& shape, Rng& rng) const override;
  /// @throws ShapeError  unless raw is a square kernel from c to c channels
  Var apply(const Var& raw) const override;
  bool is_kernel() const override { return true; }

 private:
  double gain_;
};

extern const LayerType linear_residual_type;

}  // namespace isotape
