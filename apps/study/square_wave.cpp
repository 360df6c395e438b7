#include <isotape/apps/study/square_wave.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reduce.hpp>
#include <isotape/optim/adam.hpp>
#include <isotape/optim/schedule.hpp>

namespace isotape {
namespace {

Samples sampled(const std::vector<double>& x) {
  std::vector<double> y(x.size());
  std::transform(x.begin(), x.end(), y.begin(), square_wave);
  const auto n = static_cast<std::int64_t>(x.size());
  return {Tensor::of(x, {n, 1}), Tensor::of(y, {n, 1})};
}

// Rows of the samples, in the order given: [end - begin, 1] each.
Samples gathered(const Samples& all, const std::vector<std::int64_t>& order, std::int64_t begin,
                 std::int64_t end) {
  Samples some{Tensor({end - begin, 1}), Tensor({end - begin, 1})};
  auto* x = some.x.write<float>();
  auto* y = some.y.write<float>();
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t row = order[static_cast<std::size_t>(i)];
    x[i - begin] = all.x.data<float>()[row];
    y[i - begin] = all.y.data<float>()[row];
  }
  return some;
}

}  // namespace

double square_wave(double x) { return x <= -1 || (0 < x && x <= 1) ? 1 : 0; }

double least_error(double gamma) { return 1 / (16 * gamma); }

double best_fit(double x, double gamma) {
  const double jump = x < -0.5 ? -1 : x < 0.5 ? 0 : 1;
  const double sign = jump == 0 ? 1 : -1;
  return std::clamp(0.5 + sign * gamma * (x - jump), 0.0, 1.0);
}

Samples random_samples(std::int64_t n, Rng rng) {
  std::vector<double> x(static_cast<std::size_t>(n));
  // Rounded before the wave is taken, which is that of the point in use.
  std::generate(x.begin(), x.end(), [&] { return double(float(4 * rng.uniform() - 2)); });
  return sampled(x);
}

Samples even_samples(std::int64_t n) {
  std::vector<double> x(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) {
    x[static_cast<std::size_t>(i)] =
        float(-2 + 4 * static_cast<double>(i) / static_cast<double>(n - 1));
  }
  return sampled(x);
}

void fit_curve(Sequential& net, const Samples& samples, const CurveTraining& training, Rng rng,
               const std::function<void()>& check_interrupt) {
  const std::int64_t n = samples.x.dim(0);
  const std::int64_t per_epoch = (n + training.batch - 1) / training.batch;
  const Schedule schedule(PiecewiseLinear{{{0, 0}, {0.4, 1}, {0.8, 0.05}, {1, 0}}}, Every::step);
  Adam adam(net.parameters());
  std::int64_t step = 0;
  for (std::int64_t epoch = 0; epoch < training.epochs; ++epoch) {
    const auto order = rng.stream(static_cast<std::uint64_t>(epoch)).permutation(n);
    for (std::int64_t begin = 0; begin < n; begin += training.batch) {
      check_interrupt();
      const Samples batch = gathered(samples, order, begin, std::min(begin + training.batch, n));
      Tape tape;
      net.prepare();
      const Var error = mean(square(sub(net.forward(batch.x), batch.y)));
      require<NumericError>(std::isfinite(error.value().item()), "fit_curve: step ", step + 1,
                            ": expected a finite error, got ", error.value().item());
      tape.backward(error);
      ++step;
      adam.step(training.rate * schedule.factor(step, per_epoch, training.epochs));
    }
  }
  net.prepare();
}

std::vector<double> values_on_grid(const Module& net, double low, double high, std::int64_t cells) {
  constexpr std::int64_t at_once = 2000;
  const std::unique_ptr<Module> plain = net.materialize(DType::f64);
  std::vector<double> values;
  for (std::int64_t begin = 0; begin <= cells; begin += at_once) {
    const std::int64_t end = std::min(begin + at_once, cells + 1);
    Tensor x({end - begin, 1}, DType::f64);
    auto* entries = x.write<double>();
    for (std::int64_t i = begin; i < end; ++i) {
      entries[i - begin] = low + (high - low) * static_cast<double>(i) / static_cast<double>(cells);
    }
    const Tensor y = plain->forward(x).value();
    const auto found = y.values<double>();
    values.insert(values.end(), found.begin(), found.end());
  }
  return values;
}

double steepest_secant(const std::vector<double>& values, double low, double high) {
  const double cell = (high - low) / static_cast<double>(values.size() - 1);
  double steepest = 0;
  for (std::size_t i = 1; i < values.size(); ++i) {
    steepest = std::max(steepest, std::abs(values[i] - values[i - 1]) / cell);
  }
  return steepest;
}

}  // namespace isotape
