#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/layers/watch.hpp>
#include <isotape/ops/rank_projection.hpp>
#include <isotape/optim/sgd.hpp>

namespace isotape {

/// Low-rank representations of layers of a net [Sanyal 2020], by virtual layers that training alone
/// sees: behind each named layer stand a matrix w of rank r and a shift b, and the loss grows by
///
///     projection mean_i |(a_i + b) w - (a_i + b)|^2 + norm mean_i |1 - |a_i||
///
/// of its activations a_i (flattened). Its gradient goes to the net below, w and b, which follow
/// plain gradient descent at a rate of their own; every few steps w is projected to rank r. The
/// net's output does not pass through them, so that nothing of them is left at inference: they are
/// part of the state of a run, not of its model.
///
/// From text, LAYER:rank=R[,KEY=X...][+LAYER:...], with the options
///
///     rank        r, 1 .. the number m of activations; needed
///     projection  weight of the projection loss [1]
///     norm        weight of the norm loss [1]
///     lr          rate of w and b [0.1], times the schedule's factor
///     every       steps between projections to rank r [10]
///     method      svd, or nystrom: by sampled columns [svd up to m = 1024, else nystrom]
///     columns     that nystrom samples, r .. m [4 r, or m]
///     replicas    that nystrom averages [3]
///
/// w starts as the identity on the first r activations, b as 0.
class LowRank {
 public:
  /// @param input  shape of one sample
  /// @param rng    for the columns
  /// @throws ValueError  on an unknown layer or option, a value out of range, or a layer named
  /// twice
  LowRank(std::string_view text, const Sequential& net, const Shape& input, const Rng& rng);

  /// What is to be watched in the forward pass.
  std::vector<const Module*> modules() const;
  /// Of the activations that were seen, for the active recording.
  Var loss(const Watch& watch);
  /// Updates w and b, and projects every w whose turn it is.
  /// @param step    counted from 1 over the whole run
  /// @param factor  of the rates
  /// @throws NumericError  if a gradient is not finite
  void step(std::int64_t step, double factor);

  /// "act3.w", "act3.b": for the state of a run.
  const ParameterList& parameters() const { return list_; }

  /// For each layer: its name, r, and the variance ratio of r directions in its activations.
  struct Ratio {
    std::string layer;
    std::int64_t rank;
    double value;
  };
  /// @param inputs  [N, ...]; the singular values of N activations are taken
  std::vector<Ratio> variance_ratios(const Sequential& net, const Tensor& inputs) const;

 private:
  struct Layer {
    std::string name;
    const Module* module;
    std::int64_t rank;
    double projection;
    double norm;
    double lr;
    std::int64_t every;
    bool by_columns;
    NystromOptions columns;
    std::unique_ptr<Parameter> w;  // their addresses are the parameter list's
    std::unique_ptr<Parameter> b;
    std::unique_ptr<Sgd> sgd;
  };
  void add(std::string_view text, const Sequential& net, const Shape& input);
  Rng rng_;
  std::vector<Layer> layers_;
  ParameterList list_;
};

}  // namespace isotape
