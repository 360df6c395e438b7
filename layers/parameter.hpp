#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <isotape/core/tape.hpp>

namespace isotape {

/// The set of matrices with orthonormal columns (rows, if wide), times `scale`: scale * St(m, n). A
/// parameter that lies on it is moved by projecting its gradient and retracting its step.
struct Stiefel {
  double scale = 1;
};

/// How a raw tensor is read as matrices: [m, n] and a list [b, m, n] as they are, a kernel
/// [O, h, w, I] as [O, h w I].
Shape matrix_shape(const Shape& raw);

/// A trainable raw tensor: what the optimizer updates. A layer multiplies by its weight, which a
/// parametrization makes of the raw tensor; for a bias the two are the same.
class Parameter {
 public:
  Parameter() = default;
  explicit Parameter(Tensor value) : value_(std::move(value)) {}

  const Tensor& value() const { return value_; }
  /// The one way to change the value, in place or as a whole; advances the version, so that
  /// whatever was computed from the old value is computed anew.
  Tensor& write() {
    ++version_;
    return value_;
  }
  std::uint64_t version() const { return version_; }
  explicit operator bool() const { return static_cast<bool>(value_); }

  /// This recording's leaf, whose gradient backward adds to `grad`; a constant if nothing records,
  /// if the parameter is frozen, or while a ConstantParameters lives.
  Var var();
  bool is_recorded() const;

  Tensor grad;                      ///< dL/d(value), added to by backward; absent means zero
  bool trainable = true;            ///< false: frozen
  bool decays = true;               ///< whether weight decay applies unless asked by name
  std::optional<Stiefel> manifold;  ///< set in retracted training

 private:
  Tensor value_;
  std::uint64_t version_ = 1;
};

/// While it lives, parameters are constants on this thread: a recording then serves gradients with
/// respect to inputs and activations, through the folded weights.
class ConstantParameters {
 public:
  ConstantParameters();
  ~ConstantParameters();
  ConstantParameters(const ConstantParameters&) = delete;
  ConstantParameters& operator=(const ConstantParameters&) = delete;
};

struct NamedParameter {
  std::string name;
  Parameter* parameter;
};
using ParameterList = std::vector<NamedParameter>;

/// What a layer remembers beside its parameters (vectors of a power iteration), for the state file.
struct NamedBuffer {
  std::string name;
  Tensor* tensor;
};
using BufferList = std::vector<NamedBuffer>;

}  // namespace isotape
