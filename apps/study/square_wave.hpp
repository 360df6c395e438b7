#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/layers/sequential.hpp>

namespace isotape {

/// The square wave of [Wang 2023, section 5.1] on [-2, 2]: 1 up to -1, 0 up to 0, 1 up to 1, 0
/// beyond.
double square_wave(double x);

/// The least mean square error on [-2, 2] of a function with Lipschitz constant gamma >= 1:
///
///     3 jumps * 2 * integral_0^(1 / (2 gamma)) (1/2 - gamma t)^2 dt / 4 = 1 / (16 gamma),
///
/// as no such function can do better at a jump than the ramp of slope gamma through its middle.
double least_error(double gamma);
/// The function that has it: 1 and 0, and a ramp through the middle of each jump.
double best_fit(double x, double gamma);

/// Points and what the wave is there: [n, 1] each, f32.
struct Samples {
  Tensor x;
  Tensor y;
};
/// n points, uniform in (-2, 2).
Samples random_samples(std::int64_t n, Rng rng);
/// n points from -2 to 2, at equal distances.
Samples even_samples(std::int64_t n);

/// How a net is fitted to samples.
struct CurveTraining {
  std::int64_t epochs = 200;
  std::int64_t batch = 50;
  double rate = 0.01;  ///< the largest, of one that rises over 2/5 of all steps and falls to 0
};

/// Adam on the mean square error; batches in a new order each epoch. The rate rises from 0 for 2/5
/// of the steps, falls to 1/20 in as many, and to 0 in the last fifth.
/// @throws NumericError  if the error is not finite
void fit_curve(Sequential& net, const Samples& samples, const CurveTraining& training, Rng rng,
               const std::function<void()>& check_interrupt);

/// f at points of a grid, computed in f64 by the folded net: values i = 0..cells at low + i (high -
/// low) / cells.
std::vector<double> values_on_grid(const Module& net, double low, double high, std::int64_t cells);
/// The largest |f(b) - f(a)| / (b - a) of neighbours on a grid: at most the Lipschitz constant, but
/// for rounding in f64.
double steepest_secant(const std::vector<double>& values, double low, double high);

}  // namespace isotape
