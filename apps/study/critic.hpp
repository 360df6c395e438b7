#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/datasets/transport.hpp>
#include <isotape/layers/sequential.hpp>

namespace isotape {

/// A net of Lipschitz constant 1 with one output, trained to separate two distributions:
/// `hidden` layers of `width` neurons and the activation between linear layers.
struct CriticShape {
  std::int64_t in = 1;
  std::int64_t width = 64;
  int hidden = 2;
  std::string_view weight = "bjorck";       ///< bjorck or spectral-norm
  std::string_view activation = "max-min";  ///< max-min, sort (of all neurons) or relu
};
/// @throws ValueError  for an unknown weight or activation
Sequential make_critic(const CriticShape& shape, const Rng& rng);

struct CriticTraining {
  std::int64_t steps = 3000;
  std::int64_t batch = 48;  ///< points of either set
  double rate = 0.01;       ///< a quarter of it after half of the steps, 1/16 after three quarters
};

/// Maximizes mean f(far) - mean f(near) over new points in each step, by AggMo [Anil 2019].
/// @throws NumericError  if the difference is not finite
void train_critic(Sequential& net, const TransportProblem& problem, const CriticTraining& training,
                  Rng rng, const std::function<void()>& check_interrupt);

/// The estimated Wasserstein-1 distance on n points of either set,
///
///     (mean f(far) - mean f(near)) / bound,
///
/// computed in f64 by the folded net, whose proved bound that is; so the mean over draws of the
/// points is at most the distance. Its standard error: root of the sum of both means' variances.
struct DistanceEstimate {
  double value = 0;
  double standard_error = 0;
  double bound = 1;
};
DistanceEstimate estimate_distance(const Sequential& net, const TransportProblem& problem,
                                   std::int64_t n, Rng rng);

/// What the critic says at the points t u of the problem's line less what it says at 0, over its
/// proved bound.
std::vector<double> along_line(const Sequential& net, const TransportProblem& problem,
                               std::vector<double> t);

}  // namespace isotape
