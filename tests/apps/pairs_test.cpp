// The bound of a trained network against a million pairs of inputs, half of them looked for.

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>

#include <isotape/apps/resolve.hpp>
#include <isotape/apps/training.hpp>
#include <isotape/core/random.hpp>
#include <isotape/datasets/registry.hpp>
#include <isotape/layers/rounding.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reduce.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("slow/pairs");

namespace {

constexpr std::int64_t batch = 250;

// What is proved of the net, and the largest ratio seen so far.
struct Pairs {
  const Module& net;  // in f64
  double bound;
  double error;  // of one evaluation
  std::int64_t count = 0;
  std::int64_t broken = 0;
  double largest = 0;

  // Compares the rows of x and y; f(x) is given, f(y) computed and returned.
  Tensor compare(const Tensor& x, const Tensor& fx, const Tensor& y) {
    const Paused paused;
    Tensor fy = net.forward(y).value();
    for (std::int64_t i = 0; i < x.dim(0); ++i) {
      const auto row = [i](const Tensor& t) { return t.rows(i, i + 1); };
      const double apart = frobenius_norm(sub(row(x), row(y)).value());
      const double moved = frobenius_norm(sub(row(fx), row(fy)).value());
      // Both norms are themselves off by some 1e-13 of their size.
      if (!(moved <= bound * apart * (1 + 1e-12) + 2 * error)) ++broken;
      if (apart > 1e-5) largest = std::max(largest, (moved - 2 * error) / apart);
    }
    count += x.dim(0);
    return fy;
  }
};

// Rows of length r.
void set_lengths(Tensor& d, const std::vector<double>& r) {
  const std::int64_t each = d.size() / d.dim(0);
  for (std::int64_t i = 0; i < d.dim(0); ++i) {
    const double norm = frobenius_norm(d.rows(i, i + 1));
    auto* row = d.write<double>() + i * each;
    for (std::int64_t e = 0; e < each; ++e) row[e] *= norm > 0 ? r[i] / norm : 0;
  }
}

// Log-uniform in [1e-4, 1].
std::vector<double> distances(Rng& rng) {
  const Tensor exponents = random_uniform(rng, {batch}, -4, 0, DType::f64);
  std::vector<double> r;
  for (std::int64_t i = 0; i < batch; ++i) r.push_back(std::pow(10.0, exponents.at(i)));
  return r;
}

void random_pairs(Pairs& pairs, const Tensor& x, Rng& rng) {
  const Paused paused;
  const Tensor fx = pairs.net.forward(x).value();
  for (int round = 0; round < 20; ++round) {
    Tensor y = random_normal(rng, x.shape(), 1, DType::f64);
    set_lengths(y, distances(rng));
    add_in_place(y, x);
    pairs.compare(x, fx, y);
  }
}

// Steps of a power iteration on the Jacobian between the two points: y = x + r g / |g| with g the
// gradient of |f(y) - f(x)|^2. Every iterate is a pair.
void sought_pairs(Pairs& pairs, const Tensor& x, Rng& rng) {
  const std::vector<double> r = distances(rng);
  Tensor fx;
  {
    const Paused paused;
    fx = pairs.net.forward(x).value();
  }
  Tensor d = random_normal(rng, x.shape(), 1, DType::f64);
  for (int step = 0; step < 20; ++step) {
    set_lengths(d, r);
    const Tensor y = add(x, d).value();
    pairs.compare(x, fx, y);
    const ConstantParameters constant;
    Tape tape;
    const Var at = tape.leaf(y);
    tape.backward(sum(square(sub(pairs.net.forward(at), Var(fx)))));
    d = at.grad().clone();
  }
}

}  // namespace

TEST_CASE("pairs: a million of them move apart by no more than L and the rounding allow") {
  TrainOptions options;
  options.model = "bcop-small";
  options.dataset = "glyphs";
  options.epochs = 1;
  options.threads = 1;
  const RunConfig config = resolve(options);
  Training training(config, named_model("bcop-small"), load_dataset("glyphs"));
  while (!training.is_finished()) training.step();
  Model& model = training.model();
  model.net.prepare();
  Operations operations;
  model.net.collect_operations("", model.input, operations);
  const std::unique_ptr<Module> net = model.net.materialize(DType::f64);
  // No input is longer than a white image and a step of 1.
  const double longest = std::sqrt(static_cast<double>(model.input.size())) + 1;
  Pairs pairs{*net, chain_bound(operations),
              rounding(operations, {longest, 0}, Arithmetic::f64()).error};
  Rng rng(1);
  for (std::int64_t begin = 0; pairs.count < 1'000'000; begin = (begin + batch) % 4000) {
    const Tensor x = training.data().test.pixels(begin, begin + batch).to(DType::f64);
    random_pairs(pairs, x, rng);
    sought_pairs(pairs, x, rng);
  }
  MESSAGE("pairs ", pairs.count, ", largest ratio ", pairs.largest, ", L ", pairs.bound, ", error ",
          pairs.error);
  CHECK(pairs.broken == 0);
  CHECK(pairs.largest > 0.9);
  CHECK(pairs.largest <= pairs.bound);
}

TEST_SUITE_END();
