#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include <isotape/core/op.hpp>
#include <isotape/core/tensor.hpp>

namespace isotape {

class Tape;

/// A value in a computation: a Tensor and, if a Tape recorded it, its place there. Cheap to copy. A
/// Tensor converts to a Var that is a constant; a default-constructed Var is absent.
class Var {
 public:
  Var() = default;
  Var(Tensor value) : value_(std::move(value)) {}  // NOLINT: implicit, so that ops take tensors

  explicit operator bool() const { return static_cast<bool>(value_); }
  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  DType dtype() const { return value_.dtype(); }
  std::int64_t dim(int axis) const { return value_.dim(axis); }
  /// The tape that recorded this value; null for a constant.
  Tape* tape() const { return tape_; }
  /// dL/d(this) after backward: of a leaf, or of a value named to Tape::keep_grad; else absent.
  Tensor grad() const;

 private:
  friend class Tape;
  Var(Tensor value, Tape* tape, std::size_t node, std::size_t output)
      : value_(std::move(value)), tape_(tape), node_(node), output_(output) {}
  Tensor value_;
  Tape* tape_ = nullptr;
  std::size_t node_ = 0;
  std::size_t output_ = 0;
};
using Vars = std::vector<Var>;

/// Tells a vjp which gradients are wanted: needs(i) for input i. The others may stay absent.
class Needs {
 public:
  explicit Needs(std::span<const std::uint8_t> flags) : flags_(flags) {}
  bool operator()(std::size_t i) const { return flags_[i] != 0; }

 private:
  std::span<const std::uint8_t> flags_;
};

/// What a vjp returns: one gradient per input, in order, absent where not needed.
template <std::size_t N>
using Grads = std::array<Tensor, N>;

/// What a jvp receives: one tangent per input, in order, absent where it is zero (not all are).
template <std::size_t N>
using Tangents = std::array<Tensor, N>;

struct BackwardOptions {
  bool retain = false;  ///< keep the saved values, so that backward or jvp may run again
  /// Called with the place of each node before the walk passes it: to see where the time goes.
  std::function<void(std::size_t node)> visit = {};
};

/// Records operations in execution order; backward is the reverse walk. Constructing a Tape makes
/// it the active one of this thread until it is destroyed. Operations on values of an active tape
/// are recorded; all else is computed without a trace and without cost.
class Tape {
 public:
  using Vjp = std::function<Tensors(Tensors dys, Needs needs)>;
  using Jvp = std::function<Tensors(const Tensors& dxs)>;

  /// @param precision  of the products of activations and weights that layers record here
  explicit Tape(Precision precision = Precision::full);
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// The tape that records on this thread; null if none does.
  static Tape* active();
  /// That of the active tape; full, if none records.
  static Precision active_precision();

  /// A value nobody computed, whose gradient is wanted.
  /// @param sink  if given, backward adds the gradient to *sink (sets it, if absent)
  Var leaf(Tensor value, Tensor* sink = nullptr);

  /// A Var remembered for this recording under a key and version: a parameter's leaf, a weight
  /// computed once per step. recall() returns an absent Var if there is none of that version.
  Var recall(const void* key, std::uint64_t version) const;
  void remember(const void* key, std::uint64_t version, Var var);

  /// Keeps dL/d(var) beyond the walk for var.grad().
  void keep_grad(const Var& var);

  /// Walks back from y, seeded with dy (1 if absent, for a scalar y). Saved values are freed as the
  /// walk passes them.
  /// @throws Error  if a saved value was overwritten since, or was freed by an earlier walk
  void backward(const Var& y, Tensor dy = {}, const BackwardOptions& options = {});
  /// The same from several values; an absent dy is zero.
  void backward(std::span<const Var> ys, Tensors dys, const BackwardOptions& options = {});
  /// Forgets the gradients of leaves and kept values (not those in sinks).
  void clear_grads();

  /// Forward mode: the tangents of ys for the given tangents of xs (an absent one is zero).
  Tensors jvp(std::span<const Var> ys, std::span<const Var> xs, const Tensors& tangents) const;

  /// Number of recorded operations and leaves.
  std::size_t size() const { return nodes_.size(); }
  /// Name of the op at a place of the recording, "leaf" for a leaf.
  std::string_view op_name(std::size_t node) const { return nodes_[node].op; }

  /// Base of `record`: appends ys = op(inputs). Absent inputs are allowed.
  static Vars record(const Op& op, Tensors ys, std::span<const Var> inputs, Tensors saved, Vjp vjp,
                     Jvp jvp);

 private:
  friend class Var;
  struct Saved {
    Tensor value;
    std::uint64_t version;
  };
  struct Output {
    Shape shape;
    DType dtype;
    Tensor grad;
    bool keep = false;
  };
  struct Node {
    std::string_view op;
    std::vector<std::pair<std::size_t, std::size_t>> inputs;  // node and output, where needed
    std::vector<std::uint8_t> needs;
    std::vector<Output> outputs;
    std::vector<Saved> saved;
    Vjp vjp;
    Jvp jvp;
    Tensor* sink = nullptr;
    bool freed = false;
  };
  struct Remembered {
    std::uint64_t version;
    Var var;
  };
  void walk(Node& node, bool retain);
  static void check_saved(const Node& node);
  void accumulate(const Node& from, std::size_t input, Tensor grad);
  std::vector<Node> nodes_;
  std::unordered_map<const void*, Remembered> remembered_;
  Precision precision_;
  Tape* previous_;
};

/// Stops recording on this thread while it lives.
class Paused {
 public:
  Paused();
  ~Paused();
  Paused(const Paused&) = delete;
  Paused& operator=(const Paused&) = delete;

 private:
  Tape* active_;
};

/// Appends y = op(inputs) to the tape of its inputs and returns y's Var; a constant if none of them
/// is recorded or recording is off.
///
/// @param saved  the values the closures captured whose overwriting would make them wrong
/// @param vjp    `Grads<N>(const Tensor& dy, Needs needs)`: dL/dy to dL/dx_i. Taken as `Tensor dy`,
///               it may be overwritten where dy.unique()
/// @param jvp    `Tensor(const Tangents<N>& dx)`: the tangent of y
template <std::size_t N, class Vjp, class Jvp>  // NOLINTNEXTLINE: `saved` is moved, not copied
Var record(const Op& op, Tensor y, const Var (&inputs)[N], Tensors saved, Vjp vjp, Jvp jvp) {
  auto vjp_any = [vjp = std::move(vjp)](Tensors dys, Needs needs) {
    Grads<N> grads = vjp(std::move(dys[0]), needs);
    return Tensors(std::make_move_iterator(grads.begin()), std::make_move_iterator(grads.end()));
  };
  auto jvp_any = [jvp = std::move(jvp)](const Tensors& dxs) {
    Tangents<N> tangents;
    std::copy(dxs.begin(), dxs.end(), tangents.begin());
    return Tensors{jvp(tangents)};
  };
  return Tape::record(op, {std::move(y)}, inputs, std::move(saved), std::move(vjp_any),
                      std::move(jvp_any))[0];
}

/// Appends ys = op(inputs) with any number of inputs and outputs. In the vjp an absent dy is zero.
inline Vars record_many(const Op& op, Tensors ys, const Vars& inputs, Tensors saved, Tape::Vjp vjp,
                        Tape::Jvp jvp) {
  return Tape::record(op, std::move(ys), inputs, std::move(saved), std::move(vjp), std::move(jvp));
}

/// Whether an op on these inputs would be recorded: if not, nothing need be kept for a vjp.
bool is_recording(std::span<const Var> inputs);
inline bool is_recording(std::initializer_list<Var> inputs) {
  return is_recording(std::span<const Var>(inputs.begin(), inputs.size()));
}

}  // namespace isotape
