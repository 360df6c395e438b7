#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <random>

#include <isotape/apps/verify/composite.hpp>
#include <isotape/apps/verify/failure.hpp>
#include <isotape/apps/verify/forward.hpp>
#include <isotape/core/blas.hpp>

using namespace isotape;
using verify::Operation;

TEST_SUITE_BEGIN("apps/verify/composite");

namespace {

using Numbers = std::vector<double>;

std::mt19937& randomness() {
  static std::mt19937 engine(29);
  return engine;
}

std::vector<float> normal(std::int64_t count, double scale) {
  std::normal_distribution<double> distribution;
  std::vector<float> numbers(count);
  for (float& number : numbers) number = static_cast<float>(scale * distribution(randomness()));
  return numbers;
}

// One operation, its sigma the checker's own.
struct Example {
  verify::WeightsFile weights;
  verify::Chain chain;
  verify::Network network;

  Example(const Operation& o, std::vector<std::int64_t> shape, std::vector<float> weight,
          const verify::Extents& in) {
    std::int64_t channels = shape[0];
    if (o.op == "sandwich") channels = shape[1];
    weights.tensors["w"] = {std::move(shape), std::move(weight)};
    weights.tensors["b"] = {{channels}, normal(channels, 0.5)};
    weights.tensors["psi"] = {{channels}, normal(channels, 0.5)};
    chain = {o};
    chain[0].weight = "w";
    chain[0].psi = "psi";
    if (o.op != "skew_exp") chain[0].bias = "b";
    network = verify::resolve(chain, in, weights);
    chain[0].sigma = verify::own_sigma(network[0], weights);
  }
  double bound() const { return verify::lipschitz(network, 1); }
  Numbers at(const Numbers& x) const { return verify::forward(network, {x})[0]; }
};

Operation convolution(const char* op, std::int64_t kernel, bool circular) {
  Operation o;
  o.name = o.op = op;
  o.circular = circular;
  o.before = {kernel / 2, kernel / 2};
  o.after = {kernel - 1 - kernel / 2, kernel - 1 - kernel / 2};
  return o;
}

double distance(const Numbers& a, const Numbers& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

// The largest ratio over pairs of inputs, each pair near the last one's longest direction.
double largest_ratio(const Example& example, std::int64_t size) {
  double largest = 0;
  for (int start = 0; start < 20; ++start) {
    const std::vector<float> direction = normal(size, 1);
    const std::vector<float> place = normal(size, 2);
    for (const double step : {1e-3, 1.0, 10.0}) {
      Numbers x(place.begin(), place.end());
      Numbers z = x;
      for (std::int64_t i = 0; i < size; ++i) z[i] += step * static_cast<double>(direction[i]);
      largest = std::max(largest, distance(example.at(x), example.at(z)) / distance(x, z));
    }
  }
  return largest;
}

}  // namespace

TEST_CASE("composite_lipschitz: no pair of inputs moves further apart") {
  const verify::Extents in{4, 5, 3, false};
  for (const bool circular : {false, true}) {
    for (const std::int64_t kernel : {1, 2, 3}) {
      CAPTURE(kernel);
      const Example potential(convolution("potential", kernel, circular), {4, 3, kernel, kernel},
                              normal(12 * kernel * kernel, 0.4), in);
      CHECK(largest_ratio(potential, in.size()) <= potential.bound() * (1 + 1e-9));
    }
  }
  for (const char* activation : {"relu", "softplus", "tanh", "sigmoid", "identity"}) {
    CAPTURE(activation);
    Operation o;
    o.name = o.op = "sandwich";
    o.activation = activation;
    const Example sandwich(o, {9, 4}, normal(36, 0.4), {1, 1, 5, true});
    CHECK(largest_ratio(sandwich, 5) <= sandwich.bound() * (1 + 1e-9));
  }
}

// By the SVD of the whole operator, of kernels that are nowhere near skew.
TEST_CASE("composite_lipschitz: covers a truncated series of any kernel") {
  const verify::Extents in{3, 4, 2, false};
  for (const bool circular : {false, true}) {
    for (const std::int64_t terms : {1, 2, 3, 6}) {
      for (const double scale : {0.02, 0.1, 0.4}) {
        CAPTURE(terms);
        CAPTURE(scale);
        Operation o = convolution("skew_exp", 3, circular);
        o.terms = terms;
        const Example series(o, {2, 2, 3, 3}, normal(36, scale), in);
        Numbers rows;
        for (std::int64_t i = 0; i < in.size(); ++i) {
          Numbers unit(in.size());
          unit[i] = 1;
          const Numbers image = series.at(unit);
          rows.insert(rows.end(), image.begin(), image.end());
        }
        Numbers values(in.size());
        blas::singular_values(in.size(), in.size(), rows.data(), values.data());
        CHECK(values[0] <= series.bound() * (1 + 1e-12));
      }
    }
  }
}

TEST_CASE("composite_lipschitz: tight where it can be") {
  // x - 4 relu(x + b) has slopes 1 and -3; sum over i < 9 of 0.5^i x / i! nearly exp(0.5).
  const Example potential(convolution("potential", 1, false), {1, 1, 1, 1}, {2}, {1, 1, 1, true});
  CHECK(potential.bound() == doctest::Approx(3).epsilon(1e-12));
  CHECK(distance(potential.at({9}), potential.at({10})) == doctest::Approx(3));
  Operation o = convolution("skew_exp", 1, false);
  o.terms = 9;
  const Example series(o, {1, 1, 1, 1}, {0.5}, {1, 1, 1, true});
  CHECK(series.at({1})[0] == doctest::Approx(std::exp(0.5)).epsilon(1e-7));
  CHECK(series.bound() == doctest::Approx(std::exp(0.5)).epsilon(1e-7));
  // A = B = 1: 2 relu(x + ...).
  o = {};
  o.name = o.op = "sandwich";
  o.activation = "relu";
  const Example sandwich(o, {2, 1}, {1, 1}, {1, 1, 1, true});
  CHECK(sandwich.bound() == doctest::Approx(2).epsilon(1e-12));
  CHECK(distance(sandwich.at({9}), sandwich.at({10})) == doctest::Approx(2));
}

TEST_CASE("resolve: a hidden activation has its limit, too") {
  Operation o = convolution("potential", 1, false);
  CHECK_THROWS_WITH_AS(
      Example(o, {64, 1, 1, 1}, normal(64, 1), {512, 512, 1, false}),
      "potential (potential): expected at most 4194304 entries, found [512, 512, 64]",
      verify::Failure);
}

TEST_SUITE_END();
