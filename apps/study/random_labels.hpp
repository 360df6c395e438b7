#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/layers/parameter.hpp>

namespace isotape {

/// Points of the unit sphere in d dimensions with labels +-1, all of them drawn at random.
struct RandomLabels {
  Tensor x;  ///< [n, d]
  Tensor y;  ///< [n, 1]
};
RandomLabels random_labels(std::int64_t n, std::int64_t d, Rng rng);

/// n points of the unit sphere, uniform: [n, d].
Tensor sphere_points(std::int64_t n, std::int64_t d, Rng rng);

/// How the net is made that is to learn them.
struct PlainNet {
  std::int64_t inputs = 1;
  std::vector<std::int64_t> hidden;  ///< widths of its hidden layers
  std::string activation = "relu";   ///< or "square", "cube": t^2, t^3
  bool is_wide_start = false;        ///< N(0, 1), N(0, 1/k) and no biases; else +-1/sqrt(inputs)
};

/// A free net with one output, its first and last layer those of a two-layer net where it has one
/// hidden layer.
class FreeNet {
 public:
  FreeNet(const PlainNet& options, Rng rng);
  Var operator()(const Var& x);
  ParameterList parameters();
  std::int64_t size() const;  ///< number of all weights and biases
  /// |gradient of the output by x| at each of the points [n, d]; `tangential`: without its part
  /// along x.
  std::vector<double> gradient_norms(const Tensor& points, bool tangential = false);
  Var path_norm();              ///< of a net with one hidden layer
  double norm_product() const;  ///< of the layers' norms, proved

 private:
  std::string activation_;
  std::vector<Parameter> weights_;
  std::vector<Parameter> biases_;
};

/// What a fit has come to.
struct Fit {
  std::int64_t steps = 0;
  double mse = 0;
};

/// Adam on all points at once, rate 5e-3 along half a cosine to 5e-6, 6000 steps or until the mean
/// square error is below 1e-3. With a penalty > 0 the path norm, times penalty / sqrt(n), is added
/// from step 1000 on, and all steps are taken.
Fit fit(FreeNet& net, const RandomLabels& data, double penalty,
        const std::function<void()>& check_interrupt);

}  // namespace isotape
