#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <support/scoped_threads.hpp>

#include <isotape/core/error.hpp>
#include <isotape/core/memory.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/bjorck.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reduce.hpp>
#include <isotape/optim/make_optimizer.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("optim/optimizer");

namespace {

const std::string rules[] = {"sgd",   "sgd:momentum=0.9,nesterov=1", "adam",
                             "adamw", "rmsprop:momentum=0.9",        "aggmo"};

struct Net {
  Parameter raw, list, bias;
  ParameterList parameters{{"fc.raw", &raw}, {"conv.raw", &list}, {"fc.bias", &bias}};

  explicit Net(std::int64_t n = 8) {
    Rng rng(1);
    raw = Parameter(random_orthogonal(rng, {n, 20}, 0.25));
    raw.manifold = Stiefel{0.25};
    list = Parameter(random_orthogonal(rng, {3, 6, 6}, 1, DType::f64));
    list.manifold = Stiefel{1};
    bias = Parameter(random_normal(rng, {n}));
  }
  void set_gradients(std::uint64_t seed) {
    Rng rng(seed);
    for (const NamedParameter& entry : parameters) {
      const Tensor& value = entry.parameter->value();
      entry.parameter->grad = random_normal(rng, value.shape(), 1, value.dtype());
    }
  }
};

void train(Optimizer& optimizer, Net& net, std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t step = from; step < to; ++step) {
    net.set_gradients(step);
    optimizer.step(0.01);
  }
}

bool equal(const Net& a, const Net& b) {
  return max_abs_diff(a.raw.value(), b.raw.value()) == 0 &&
         max_abs_diff(a.list.value(), b.list.value()) == 0 &&
         max_abs_diff(a.bias.value(), b.bias.value()) == 0;
}

// min |Q a - b|^2 over matrices with orthonormal columns (|a Q - b|^2, rows), whose solution is the
// polar factor of b a^T (a^T b) [Schoenemann 1966]. The start is a turn away from the solution.
struct Procrustes {
  static constexpr double gain = 0.5;
  Parameter raw;
  Tensor a, b, solution;
  bool wide;

  explicit Procrustes(const Shape& shape) : wide(shape[0] < shape[1]) {
    Rng rng(2);
    const std::int64_t k = std::min(shape[0], shape[1]);
    const Tensor start = random_orthogonal(rng, shape, 1, DType::f64);
    const Tensor turned =
        add(start, random_normal(rng, shape, 0.3 / std::sqrt(double(k)), DType::f64)).value();
    const Tensor target = bjorck(turned).value();
    a = add(Tensor::eye(k, DType::f64), random_normal(rng, {k, k}, 0.1, DType::f64)).value();
    b = add(product(target).value(), random_normal(rng, shape, 0.05, DType::f64)).value();
    const Var m = wide ? matmul(a, b, {.trans_a = true}) : matmul(b, a, {.trans_b = true});
    solution = bjorck(m).value();
    raw = Parameter(scale(start, gain).value());
    raw.manifold = Stiefel{gain};
  }
  Var product(const Var& q) const { return wide ? matmul(a, q) : matmul(q, a); }
  double distance() const { return max_abs_diff(scale(raw.value(), 1 / gain).value(), solution); }
};

}  // namespace

TEST_CASE("optimizer: on the manifold every rule solves the Procrustes problem") {
  struct Run {
    std::string rule;
    double lr;
    double final;  // of the rate: rules that normalise the gradient need a falling one
  };
  const Run runs[] = {{"sgd", 0.05, 1},        {"sgd:momentum=0.9", 0.005, 1},
                      {"adam", 0.02, 1e-6},    {"adamw", 0.02, 1e-6},
                      {"rmsprop", 0.01, 1e-6}, {"aggmo:betas=0/0.9", 0.01, 1}};
  for (const Run& run : runs) {
    for (const Shape& shape : {Shape{6, 6}, Shape{8, 5}, Shape{5, 8}, Shape{20, 4}, Shape{4, 20}}) {
      CAPTURE(run.rule);
      CAPTURE(shape);
      Procrustes problem(shape);
      REQUIRE(problem.distance() > 0.05);
      const auto optimizer = make_optimizer(run.rule, {{"q", &problem.raw}});
      constexpr int steps = 600;
      for (int step = 0; step < steps; ++step) {
        Tape tape;
        const Var q = scale(problem.raw.var(), 1 / Procrustes::gain);
        tape.backward(sum(square(sub(problem.product(q), problem.b))));
        optimizer->step(run.lr * std::pow(run.final, double(step) / steps));
      }
      CHECK(problem.distance() < 1e-5);
      CHECK(stiefel_defect(problem.raw.value(), *problem.raw.manifold) <= 1e-12);
    }
  }
}

TEST_CASE("optimizer: a step in units of the raw value turns a small one further") {
  const auto turn = [](double gain) {
    Rng rng(3);
    const Tensor start = random_orthogonal(rng, {6, 6}, 1, DType::f64);
    Parameter raw(scale(start, gain).value());
    raw.manifold = Stiefel{gain};
    raw.grad = random_normal(rng, {6, 6}, 1, DType::f64);
    make_optimizer("adam", {{"q", &raw}})->step(1e-4);
    return max_abs_diff(scale(raw.value(), 1 / gain).value(), start);
  };
  CHECK(turn(0.1) == doctest::Approx(10 * turn(1)).epsilon(1e-2));
}

TEST_CASE("optimizer: on the manifold the rule sees the projected gradient") {
  // A gradient normal to the manifold is none at all: not for the value, and not for the state.
  Rng rng(4);
  const Tensor q = random_orthogonal(rng, {7, 4}, 1, DType::f64);
  const Tensor s = random_normal(rng, {4, 4}, 1, DType::f64);
  for (const std::string& rule : rules) {
    CAPTURE(rule);
    Parameter raw(q.clone());
    raw.manifold = Stiefel{1};
    raw.grad = matmul(q, matmul(s, s, {.trans_b = true})).value();
    const Tensor kept = raw.grad.clone();
    const Tensor shared = raw.grad;
    const auto optimizer = make_optimizer(rule, {{"q", &raw}});
    optimizer->step(1e-12);
    CHECK(max_abs_diff(raw.value(), q) < 1e-11);
    CHECK(max_abs_diff(shared, kept) == 0);
    BufferList buffers;
    optimizer->collect("", buffers);
    for (const NamedBuffer& buffer : buffers) {
      if (buffer.tensor->shape() == q.shape()) CHECK(max_abs(*buffer.tensor) < 1e-6);
    }
  }
}

TEST_CASE("optimizer: on the manifold restored state continues bit for bit") {
  for (const std::string& rule : rules) {
    CAPTURE(rule);
    Net straight;
    train(*make_optimizer(rule, straight.parameters), straight, 0, 9);
    Net before;
    const auto first = make_optimizer(rule, before.parameters);
    train(*first, before, 0, 4);
    Net after;
    const auto second = make_optimizer(rule, after.parameters);
    BufferList saved;
    BufferList restored;
    first->collect("", saved);
    second->collect("", restored);
    for (std::size_t i = 0; i < saved.size(); ++i) *restored[i].tensor = saved[i].tensor->clone();
    for (std::size_t i = 0; i < before.parameters.size(); ++i) {
      after.parameters[i].parameter->write() = before.parameters[i].parameter->value().clone();
    }
    train(*second, after, 4, 9);
    CHECK(equal(after, straight));
  }
}

TEST_CASE("optimizer: decay, which is radial, does not act on the manifold") {
  for (const std::string rule : {"sgd", "adam", "adamw", "rmsprop", "aggmo"}) {
    CAPTURE(rule);
    Net plain;
    Net decaying;
    train(*make_optimizer(rule + ":weight_decay=0", plain.parameters), plain, 0, 5);
    train(*make_optimizer(rule + ":weight_decay=0.9,decay_all=1", decaying.parameters), decaying, 0,
          5);
    CHECK(max_abs_diff(plain.raw.value(), decaying.raw.value()) == 0);
    CHECK(max_abs_diff(plain.list.value(), decaying.list.value()) == 0);
    CHECK(max_abs_diff(plain.bias.value(), decaying.bias.value()) > 0);
  }
}

TEST_CASE("optimizer: counts what the retractions of all steps took") {
  Net net;
  const auto optimizer = make_optimizer("adam", net.parameters);
  CHECK(optimizer->retractions().matrices == 0);
  const std::uint64_t version = net.raw.version();
  train(*optimizer, net, 0, 10);
  CHECK(net.raw.version() == version + 10);
  CHECK_FALSE(net.raw.grad);
  const RetractionStats& stats = optimizer->retractions();
  CHECK(stats.matrices == 40);
  CHECK(stats.mean_steps() >= 1);
  CHECK(stats.mean_steps() <= stats.max_steps);
  CHECK(stats.max_steps <= 5);
  CHECK(stats.exact == 0);
  CHECK(stats.max_defect <= 1e-6);
}

TEST_CASE("optimizer: on the manifold, too, a step asks the system for no tensor memory") {
  const ScopedThreads one(1);
  Net net(40);
  const auto optimizer = make_optimizer("adam", net.parameters);
  train(*optimizer, net, 0, 3);
  const std::int64_t before = memory_stats().system_allocations;
  train(*optimizer, net, 3, 6);
  CHECK(memory_stats().system_allocations == before);
}

TEST_CASE("optimizer: a gradient that is not finite leaves the manifold's values, too") {
  Net net;
  const auto optimizer = make_optimizer("adam", net.parameters);
  net.set_gradients(1);
  net.list.grad.write<double>()[3] = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH_AS(optimizer->step(0.1),
                       "adam: expected a finite gradient of conv.raw, got inf", NumericError);
  CHECK(equal(net, Net()));
}

TEST_SUITE_END();
