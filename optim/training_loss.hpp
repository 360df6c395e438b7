#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/layers/sequential.hpp>
#include <isotape/optim/input_ascent.hpp>

namespace isotape {

/// A loss that TrainingLoss knows by name.
struct LossInfo {
  std::string_view name;
  std::string_view options;  ///< with their defaults
  std::string_view description;
};
const std::vector<LossInfo>& loss_infos();

/// What a training step minimises, from text: a name with options (see Settings), as in
/// "cross-entropy:temperature=0.25,offset=1" or "hkr:lambda=10". The radius that a loss asks for is
/// margin / sqrt(2) unless an option says otherwise, in units of the input (pixels in [0, 1]): that
/// margin of the logits of a net of Lipschitz constant 1 certifies it.
class TrainingLoss {
 public:
  /// @param margin  of multi-margin, > 0, in units of the logits
  /// @throws ValueError  on an unknown name or option (the text lists those there are), or a value
  ///                     out of range
  TrainingLoss(std::string_view text, double margin);

  /// @throws ValueError  if the loss needs what the net does not have: emma a last layer that is
  ///                     linear, and a Lipschitz constant of at most 1 before it
  void check(const Sequential& net) const;

  struct Value {
    Var loss;    ///< scalar, []
    Var logits;  ///< of the inputs as they are, [N, C]
  };
  /// Of a batch, for the active recording.
  /// @param inputs    [N, ...]; trades keeps those of more than one pixel in [0, 1]
  /// @param rng       for the step's noise, if the loss needs any
  /// @param progress  the share of all steps that this one completes, in (0, 1]
  Value operator()(const Sequential& net, const Tensor& inputs,
                   std::span<const std::int32_t> labels, Rng rng, double progress = 1) const;

  /// The loss as a function of the logits alone: all of it but for emma and trades, where it is
  /// their cross entropy.
  Var of_logits(const Var& logits, std::span<const std::int32_t> labels) const {
    return of_logits_(logits, labels);
  }

  /// "hkr, lambda 10, margin 1.5": name and options, with what was not given.
  const std::string& description() const { return description_; }

 private:
  using OfLogits = std::function<Var(const Var&, std::span<const std::int32_t>)>;
  struct Trades {
    double beta;
    AscentOptions ascent;
  };
  struct Emma {
    double eps;
    double ramp;
  };
  Var emma(const Sequential& net, const Var& logits, std::span<const std::int32_t> labels,
           double progress) const;
  Var trades(const Sequential& net, const Tensor& inputs, const Var& logits, Rng& rng) const;

  std::string description_;
  OfLogits of_logits_;
  std::optional<Emma> emma_;
  std::optional<Trades> trades_;
};

}  // namespace isotape
