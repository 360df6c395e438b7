#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <isotape/core/tensor.hpp>
#include <isotape/layers/parameter.hpp>
#include <isotape/optim/stiefel.hpp>

namespace isotape {

/// Weight decay of an update rule, as part of its options.
struct Decay {
  double rate = 0;      ///< in [0, inf)
  bool of_all = false;  ///< whether it also applies where Parameter::decays is false
};

/// Updates parameters from their gradients by some rule. Each rule is elementwise and makes one
/// pass over value, gradient and state, of all parameters in one loop; its result does not depend
/// on the number of threads.
///
/// A parameter with a manifold is moved along it: the rule sees the gradient projected to the
/// tangent space, and the step it makes of it is projected, bounded and retracted (see
/// stiefel.hpp). Steps are in units of the raw value. Decay, which is radial, has no part in it.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update of every trainable parameter that has a gradient, which it clears. Others keep
  /// their value, version and state.
  ///
  /// @param lr  learning rate, in [0, inf)
  /// @throws ValueError    if lr is out of range
  /// @throws NumericError  `adam: expected a finite gradient of fc1.raw, got nan`, before anything
  ///                       was changed; or that of retract(), after the step was taken
  void step(double lr);
  /// Clears all gradients without an update.
  void zero_grad();

  /// Appends the state ("fc1.raw.m"), in the order of the parameters, for a file: who restores it
  /// and the parameters continues bit for bit.
  void collect(const std::string& prefix, BufferList& buffers);

  /// "adam": what errors begin with.
  const std::string& name() const { return name_; }
  /// The text, with all options, that make_optimizer() reads.
  virtual std::string describe() const = 0;
  /// What retractions took since construction.
  const RetractionStats& retractions() const { return retractions_; }
  /// What those of the last step took.
  const RetractionStats& last_retractions() const { return last_retractions_; }

 protected:
  /// One tensor of state per parameter: of its shape and type, or one f64 number.
  struct StateName {
    std::string name;
    bool is_number = false;
  };

  /// One parameter's part in a step.
  struct Update {
    Tensor& value;
    const Tensor& grad;
    Tensors& state;  // in the order of the names
    double lr;
    double decay;
  };

  /// State starts at zero.
  /// @throws ValueError  if a parameter or a name is listed twice, or the decay is out of range
  Optimizer(std::string name, const ParameterList& parameters, std::vector<StateName> state_names,
            Decay decay);

  /// Entries begin..end-1 of a parameter: value <- value + step of the rule, and its state.
  using Loop = std::function<void(std::int64_t begin, std::int64_t end)>;

  /// Counts the update and returns its loop, to be called for disjoint ranges, by several threads.
  virtual Loop update(const Update& update) const = 0;

  /// The options that all rules share, as text that continues a list.
  std::string describe_decay() const;

 private:
  struct Slot {
    std::string name;
    Parameter* parameter;
    Tensors state;
  };
  std::vector<Slot*> check(double lr);
  void check_shapes(const Slot& slot) const;
  double decay_of(const Parameter& parameter) const;
  static void run(const std::vector<Loop>& loops, const std::vector<std::int64_t>& sizes);
  void move_along_manifolds(const std::vector<Slot*>& slots, double lr);

  std::string name_;
  std::vector<StateName> state_names_;
  Decay decay_;
  std::vector<Slot> slots_;
  RetractionStats retractions_;
  RetractionStats last_retractions_;
};

}  // namespace isotape
