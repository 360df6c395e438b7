#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include <isotape/core/random.hpp>
#include <isotape/core/tape.hpp>
#include <isotape/layers/registry.hpp>
#include <isotape/ops/bjorck.hpp>

namespace isotape {

/// The weight is the raw tensor.
struct Unconstrained {};

/// W / sigma with sigma an estimate of the spectral norm by power iteration, whose vectors persist
/// [Miyato 2018]. The estimate is low, so the norm is 1 only up to its error.
struct SpectralNorm {
  int iterations = 1;  ///< per training step, >= 1
};

/// The polar factor of the raw matrix, by Bjorck's iteration or its limit [Anil 2019]. With a fixed
/// number of iterations singular values are at most 1 (order 1), but orthogonality is not claimed.
struct Bjorck {
  BjorckOptions options = {};
  /// Singular values of the initial raw matrix; 0 means 1/sqrt(fan-in). The polar factor does not
  /// depend on the raw matrix's scale, so under Adam this is an inverse learning rate.
  double raw_gain = 0;
};

/// The orthonormal factor of the raw matrix's QR factorisation, by Cholesky: no iteration and no
/// spectrum, but another factor than the nearest one. For weights of which only the span counts.
struct CholeskyQr {
  double raw_gain = 1;  ///< singular values of the initial raw matrix, > 0; see Bjorck
};

/// Any other constraint: a function of the raw matrix alone, with nothing to remember. A final
/// class with its options as members, in a file of its own; see layers/cayley.hpp.
class MatrixMap {
 public:
  virtual ~MatrixMap() = default;

  /// "cayley": the name of its type of layers.
  virtual std::string name() const = 0;
  /// The raw matrix, or list of matrices, to start from; here uniform in +-1/sqrt(columns).
  virtual Tensor initial(const Shape& shape, Rng& rng) const;
  /// The weight of a raw matrix [m, n] or a list [b, m, n], of its shape, in f32 or f64.
  virtual Var apply(const Var& raw) const = 0;
  /// Whether the singular values of the weight are all 1 in exact arithmetic.
  virtual bool is_orthogonal() const { return false; }
  /// Whether the weight is a kernel whose own norm counts: a convolution then does not divide it by
  /// the number of patches that meet in a pixel.
  virtual bool is_kernel() const { return false; }

 protected:
  MatrixMap() = default;
  MatrixMap(const MatrixMap&) = default;
  MatrixMap(MatrixMap&&) = default;
  MatrixMap& operator=(const MatrixMap&) = default;
  MatrixMap& operator=(MatrixMap&&) = default;
};

/// A constraint is a value handed to a layer: it says how a raw matrix becomes a weight.
class Parametrization : public std::variant<Unconstrained, SpectralNorm, Bjorck, CholeskyQr,
                                            std::shared_ptr<const MatrixMap>> {
 public:
  using variant::variant;
  template <std::derived_from<MatrixMap> Map>
  Parametrization(Map map)  // NOLINT: implicit, so that a layer takes Cayley{}
      : variant(std::make_shared<const Map>(std::move(map))) {}
};

/// The map, if the constraint is one, or null.
const MatrixMap* matrix_map(const Parametrization& parametrization);

/// "unconstrained", or the name of the constraint's type of layers.
std::string name(const Parametrization& parametrization);

/// The options order, iterations and raw_gain.
Bjorck bjorck_options(Site& site);

extern const LayerType bjorck_type;
extern const LayerType cholesky_qr_type;
extern const LayerType spectral_norm_type;

}  // namespace isotape
