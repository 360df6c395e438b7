#include <isotape/apps/study/critic.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include <isotape/core/error.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reduce.hpp>
#include <isotape/optim/aggmo.hpp>

namespace isotape {
namespace {

Parametrization weight_of(std::string_view name) {
  if (name == "bjorck") return Bjorck{};
  if (name == "spectral-norm") return SpectralNorm{};
  throw ValueError(
      message("make_critic: expected a weight bjorck or spectral-norm, got '", name, "'"));
}

void add_activation(Sequential& net, const std::string& name, const CriticShape& shape) {
  if (shape.activation == "max-min") {
    net.add(name, MaxMin());
  } else if (shape.activation == "sort") {
    net.add(name, GroupSort(static_cast<int>(shape.width)));
  } else if (shape.activation == "relu") {
    net.add(name, ReLU());
  } else {
    throw ValueError(message("make_critic: expected an activation max-min, sort or relu, got '",
                             shape.activation, "'"));
  }
}

struct Moments {
  double mean = 0;
  double variance_of_mean = 0;
};

Moments moments(const Module& net, const Tensor& x) {
  const Tensor y = net.forward(x).value();
  const auto n = static_cast<double>(y.size());
  Moments found;
  for (const double value : y.values<double>()) found.mean += value / n;
  for (const double value : y.values<double>()) {
    found.variance_of_mean += std::pow(value - found.mean, 2) / (n * (n - 1));
  }
  return found;
}

}  // namespace

Sequential make_critic(const CriticShape& shape, const Rng& rng) {
  const Parametrization weight = weight_of(shape.weight);
  Sequential net;
  for (int i = 1; i <= shape.hidden; ++i) {
    const std::string number = std::to_string(i);
    Rng own = rng.stream("fc" + number);
    net.add("fc" + number, Linear(i == 1 ? shape.in : shape.width, shape.width, weight, own));
    add_activation(net, "act" + number, shape);
  }
  Rng own = rng.stream("out");
  net.add("out", Linear(shape.width, 1, weight, own));
  return net;
}

void train_critic(Sequential& net, const TransportProblem& problem, const CriticTraining& training,
                  Rng rng, const std::function<void()>& check_interrupt) {
  Aggmo optimizer(net.parameters());
  for (std::int64_t step = 0; step < training.steps; ++step) {
    check_interrupt();
    const Tensor near = problem.near(rng, training.batch).to(DType::f32);
    const Tensor far = problem.far(rng, training.batch).to(DType::f32);
    Tape tape;
    net.prepare();
    const Var loss = sub(mean(net.forward(near)), mean(net.forward(far)));
    require<NumericError>(std::isfinite(loss.value().item()), "train_critic: step ", step + 1,
                          ": expected a finite difference, got ", loss.value().item());
    tape.backward(loss);
    const bool early = step < training.steps / 2;
    const bool late = step >= training.steps * 3 / 4;
    optimizer.step(training.rate / (early ? 1 : (late ? 16 : 4)));
  }
  net.prepare();
}

DistanceEstimate estimate_distance(const Sequential& net, const TransportProblem& problem,
                                   std::int64_t n, Rng rng) {
  const std::unique_ptr<Module> folded = net.materialize(DType::f64);
  const double bound = folded->lipschitz_bound().value;
  const Moments near = moments(*folded, problem.near(rng, n));
  const Moments far = moments(*folded, problem.far(rng, n));
  return {(far.mean - near.mean) / bound,
          std::sqrt(near.variance_of_mean + far.variance_of_mean) / bound, bound};
}

std::vector<double> along_line(const Sequential& net, const TransportProblem& problem,
                               std::vector<double> t) {
  const std::unique_ptr<Module> folded = net.materialize(DType::f64);
  const double bound = folded->lipschitz_bound().value;
  t.push_back(0);
  const Tensor y = folded->forward(on_line(problem, t)).value();
  std::vector<double> values;
  for (std::int64_t i = 0; i + 1 < y.size(); ++i) {
    values.push_back((y.at(i) - y.at(y.size() - 1)) / bound);
  }
  return values;
}

}  // namespace isotape
