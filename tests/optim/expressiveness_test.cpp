// What nets of Lipschitz constant 1 can be, as the field tests it [Anil 2019]: critics of the
// Wasserstein distance between two sets whose distance is 1, by the best f with
// E f(near) - E f(far). One below 1 is a function that the net cannot be.

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <numbers>

#include <isotape/core/random.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/sequential.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reduce.hpp>
#include <isotape/optim/aggmo.hpp>

using namespace isotape;

namespace {

using Points = std::function<Tensor(Rng&, std::int64_t n)>;

// Two points of unequal sign, each at distance 1 from the origin: |x| separates them from it.
Tensor origin(Rng&, std::int64_t n) { return Tensor::zeros({n, 1}); }
Tensor ends(Rng& rng, std::int64_t n) {
  Tensor x = random_uniform(rng, {n, 1}, -1, 1);
  auto* const values = x.write<float>();
  for (std::int64_t i = 0; i < n; ++i) values[i] = values[i] < 0 ? -1.0F : 1.0F;
  return x;
}

// Points -2, 0, 2 on the first axis, and the circles of radius 1 round them: three cones.
Tensor round_centres(Rng& rng, std::int64_t n, double radius) {
  const Tensor angle = random_uniform(rng, {n}, 0, 2 * std::numbers::pi);
  Tensor x({n, 2});
  auto* const values = x.write<float>();
  for (std::int64_t i = 0; i < n; ++i) {
    const auto centre = static_cast<double>(2 * (i % 3) - 2);
    values[2 * i] = static_cast<float>(centre + radius * std::cos(angle.at(i)));
    values[2 * i + 1] = static_cast<float>(radius * std::sin(angle.at(i)));
  }
  return x;
}
Tensor centres(Rng& rng, std::int64_t n) { return round_centres(rng, n, 0); }
Tensor circles(Rng& rng, std::int64_t n) { return round_centres(rng, n, 1); }

template <class Activation>
Sequential critic(std::int64_t in, std::int64_t width, int hidden) {
  Rng rng(1);
  Sequential net;
  for (int i = 1; i <= hidden; ++i) {
    net.add("fc" + std::to_string(i), Linear(i == 1 ? in : width, width, Bjorck{}, rng));
    net.add("act" + std::to_string(i), Activation());
  }
  net.add("out", Linear(width, 1, Bjorck{}, rng));
  return net;
}

Var distance(const Sequential& net, const Tensor& near, const Tensor& far) {
  return sub(mean(net.forward(near)), mean(net.forward(far)));
}

// The distance that the trained critic finds on fresh points.
double trained(Sequential& net, const Points& near, const Points& far, int steps, double lr) {
  Rng rng(2);
  Aggmo optimizer(net.parameters());
  for (int step = 0; step < steps; ++step) {
    Tape tape;
    net.prepare();
    const Var loss = neg(distance(net, near(rng, 48), far(rng, 48)));
    tape.backward(loss);
    optimizer.step(step < steps / 2 ? lr : (step < steps * 3 / 4 ? lr / 4 : lr / 16));
  }
  return distance(net, near(rng, 4800), far(rng, 4800)).value().item();
}

}  // namespace

TEST_SUITE_BEGIN("optim/expressiveness");

TEST_CASE("MaxMin: the absolute value is a net of two orthonormal layers, exactly") {
  Rng rng(1);
  Sequential net = critic<MaxMin>(1, 2, 1);
  const double half = std::sqrt(0.5);
  for (const auto& [name, parameter] : net.parameters()) {
    if (name == "fc1.raw") parameter->write() = Tensor::of({half, -half}, {2, 1});
    if (name == "out.raw") parameter->write() = Tensor::of({half, -half}, {1, 2});
    if (name.ends_with("bias")) parameter->write() = Tensor::zeros(parameter->value().shape());
  }
  const Tensor x = random_normal(rng, {100, 1});
  CHECK(max_abs_diff(net.forward(x).value(), abs(x).value()) <= 1e-6);
  CHECK(net.lipschitz_bound().value <= 1 + 1e-6);
}

TEST_CASE("absolute value: MaxMin reaches the distance 1, ReLU under the same norms is stuck") {
  Sequential sorted = critic<MaxMin>(1, 16, 2);
  const double with_sort = trained(sorted, origin, ends, 300, 0.01);
  CHECK(with_sort >= 0.99);
  CHECK(with_sort <= sorted.lipschitz_bound().value * (1 + 1e-5));
  Sequential clipped = critic<ReLU>(1, 16, 2);
  const double with_relu = trained(clipped, origin, ends, 300, 0.01);
  MESSAGE("distance of {0} and {-1, 1}: MaxMin ", with_sort, ", ReLU ", with_relu);
  CHECK(with_relu <= 0.75);
  CHECK(with_relu >= 0.1);
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("slow/expressiveness");

TEST_CASE("three cones: MaxMin reaches the distance 1, ReLU under the same norms is stuck") {
  Sequential sorted = critic<MaxMin>(2, 64, 3);
  const double with_sort = trained(sorted, centres, circles, 6000, 0.01);
  Sequential clipped = critic<ReLU>(2, 64, 3);
  const double with_relu = trained(clipped, centres, circles, 6000, 0.01);
  MESSAGE("distance of three points and circles: MaxMin ", with_sort, ", ReLU ", with_relu);
  CHECK(with_sort >= 0.95);
  CHECK(with_sort <= sorted.lipschitz_bound().value * (1 + 1e-5));
  CHECK(with_relu <= 0.75);
}

TEST_SUITE_END();
