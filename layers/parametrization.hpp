#pragma once

#include <string>
#include <variant>

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

/// The Cayley transform of the raw matrix's skew part.
struct Cayley {};

/// The orthonormal factor of the raw matrix's QR factorisation, by Cholesky: no iteration and no
/// spectrum, but another factor than the nearest one. For weights of which only the span counts.
struct CholeskyQr {
  double raw_gain = 1;  ///< singular values of the initial raw matrix, > 0; see Bjorck
};

/// A constraint is a value handed to a layer: it says how a raw matrix becomes a weight.
using Parametrization = std::variant<Unconstrained, SpectralNorm, Bjorck, Cayley, CholeskyQr>;

/// "unconstrained", "spectral-norm", "bjorck", "cayley", "cholesky-qr": the names of model files.
std::string name(const Parametrization& parametrization);

}  // namespace isotape
