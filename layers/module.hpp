#pragma once

#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <isotape/layers/parameter.hpp>
#include <isotape/layers/proof.hpp>

namespace isotape {

class Weight;
struct Operation;

/// Where the norm is kept exactly, in exact arithmetic: of activations (forward: J^T J = I), of
/// gradients (backward: J J^T = I), of both, or of neither.
enum class NormPreservation { none, forward, backward, both };
/// Of a composition: what both parts keep.
NormPreservation operator&(NormPreservation a, NormPreservation b);
std::ostream& operator<<(std::ostream& os, NormPreservation kept);

/// How far a layer is from its own constraint, in words that can be printed.
struct Residual {
  double value = 0;
  std::string reason;
};

/// Singular values of a linear layer, measured in f64 (to rounding; not an enclosure), and how.
struct Spectrum {
  std::vector<double> sigma;  ///< descending, min(inputs, outputs) of them; empty: not measured
  std::string method;         ///< how they were measured, or why not
};

/// The dense map y = factor W x + b of a layer that is one.
struct DenseMap {
  Tensor weight;      ///< W [out, in], as it is stored
  double factor = 1;  ///< or a bound of it, >= 0
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

struct NamedWeight {
  std::string name;
  Weight* weight;
};

/// A map f(x) = value + bias whose last sum, over the last axis, is left to who comes next.
struct Unbiased {
  Var value;
  Var bias;  ///< [C], or absent
};

/// A map with named parameters. Shapes are those of one sample, without the batch axis. Every layer
/// is a final class; a variation is a member.
class Module {
 public:
  virtual ~Module() = default;

  /// y = f(x) for a batch x. While a Tape records, with weights made for this recording; else with
  /// the folded weights, thread-safe.
  virtual Var forward(const Var& x) const = 0;
  /// f(x) without its last sum, for an activation behind it that adds the bias in its own pass.
  virtual Unbiased forward_unbiased(const Var& x) const { return {forward(x), {}}; }
  /// Whether forward_consuming() takes a bias.
  virtual bool adds_bias() const { return false; }
  /// f(x + bias). Where nobody else holds x, its memory may become the result's.
  /// @param bias  [C], or absent: always so unless adds_bias()
  // NOLINTNEXTLINE(performance-unnecessary-value-param): taken over by who can use it
  virtual Var forward_consuming(Var x, const Var& /*bias*/) const { return forward(x); }
  /// Shape of f(x) for one sample. @throws ShapeError if the layer does not accept the input
  virtual Shape output_shape(const Shape& input) const = 0;

  /// "Linear", "MaxMin": the name of the type.
  virtual std::string kind() const = 0;
  /// One line: kind, extents, options.
  virtual std::string describe() const = 0;

  /// Proved limits of the singular values, min(inputs, outputs) of them, of the layer's Jacobian
  /// wherever it has one, for the folded weights and any input size; and the rule that proves them.
  /// @throws NumericError  if a weight is not finite
  virtual Enclosure enclosure() const = 0;
  /// As enclosure(), on inputs of one shape: no wider.
  /// @throws ShapeError  if the layer does not accept the input
  virtual Enclosure enclosure_at(const Shape& input) const;
  /// The proof of enclosure(): a line for the layer, or of a container a tree, from which its
  /// enclosure() is taken.
  virtual Proof proof() const;
  /// The upper end of enclosure(): a bound of the Lipschitz constant in l2.
  Bound lipschitz_bound() const;
  /// What the layer is, if it is a dense one.
  virtual std::optional<DenseMap> dense_map() const { return std::nullopt; }
  virtual NormPreservation gnp() const = 0;
  /// Of the folded weights, on inputs of one shape.
  /// @throws ShapeError  if the layer does not accept the input
  virtual Spectrum spectrum(const Shape& /*input*/) const { return {{}, "not measured"}; }
  /// Defect of the layer's own constraint.
  virtual Residual residual() const { return {0, "no constraint"}; }
  /// A plain layer with equal outputs: constraints folded into free weights, of the given type.
  virtual std::unique_ptr<Module> materialize(DType dtype) const = 0;

  /// Appends this module's parts under `prefix` ("" or "conv1.").
  virtual void collect(const std::string& /*prefix*/, ParameterList& /*parameters*/) {}
  virtual void collect(const std::string& /*prefix*/, BufferList& /*buffers*/) {}
  virtual void collect(const std::string& /*prefix*/, std::vector<NamedWeight>& /*weights*/) {}
  /// Appends the folded weights as files hold them: "conv1.weight", [O, I, h, w].
  virtual void collect_folded(const std::string& /*prefix*/, std::vector<NamedTensor>&) const {}
  /// Appends what the folded layer computes on inputs of a shape, and what is proved of it, in the
  /// terms of a certificate. `prefix` is "conv1.".
  /// @throws ValueError  for a layer that has no such form
  virtual void collect_operations(const std::string& prefix, const Shape& input,
                                  std::vector<Operation>& operations) const;
  /// Makes what forward() would make of several parameters (see Derived), once the weights are
  /// made.
  virtual void derive() const {}
  /// Moves parameters back onto a constraint that is kept by a schedule. Called after every step of
  /// the optimizer; steps count from 1.
  virtual void project(std::int64_t step, bool epoch_ended);
  /// The modules that this one is made of; none for a layer.
  virtual std::vector<Module*> children() { return {}; }

  ParameterList parameters();
  BufferList buffers();
  std::vector<NamedWeight> weights();
  std::vector<NamedTensor> folded_weights() const;

  /// Makes the weights of all layers for the active recording in one list of independent jobs, and
  /// what is derived from them, or, when nothing records, folds them for inference.
  /// @throws NumericError  naming the layer whose raw weight cannot be orthogonalized
  void prepare();

 protected:
  Module() = default;
  Module(const Module&) = default;
  Module(Module&&) = default;
  Module& operator=(const Module&) = default;
  Module& operator=(Module&&) = default;
};

/// Number of entries of the trainable parameters.
std::int64_t parameter_count(const ParameterList& parameters);

}  // namespace isotape
