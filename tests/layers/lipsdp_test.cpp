#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/jacobian.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/lipsdp.hpp>
#include <isotape/layers/pointwise.hpp>
#include <isotape/layers/rearrange.hpp>
#include <isotape/ops/elementwise.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/lipsdp");

namespace {

Linear dense(const Tensor& w) {
  Rng rng(1);
  Linear layer(w.dim(1), w.dim(0), Unconstrained{}, rng);
  ParameterList list;
  layer.collect("fc", list);
  list.front().parameter->write() = w;
  return layer;
}

Linear dense(std::int64_t in, std::int64_t out, std::uint64_t seed) {
  Rng rng(seed);
  return {in, out, Unconstrained{}, rng};
}

Sequential two_layers(const Tensor& first, const Tensor& second) {
  Sequential net;
  net.add("fc1", dense(first)).add("act", ReLU()).add("fc2", dense(second));
  return net;
}

Sequential random_net(std::uint64_t seed) {
  Sequential net;
  net.add("flat", Flatten()).add("fc1", dense(8, 12, seed)).add("act1", ReLU());
  net.add("fc2", dense(12, 10, seed + 100)).add("act2", LeakyReLU(0.1));
  net.add("fc3", dense(10, 4, seed + 200));
  return net;
}

// Largest singular value of the Jacobian met among random inputs, of several sizes.
double sampled(const Sequential& net, std::uint64_t seed) {
  Rng rng(seed);
  const auto folded = net.materialize(DType::f64);
  double largest = 0;
  for (const double size : {0.1, 1.0, 10.0}) {
    const Tensor x = scale(random_normal(rng, {200, 2, 2, 2}, 1, DType::f64), size).value();
    for (const auto& sigma : jacobian_singular_values(*folded, x)) {
      largest = std::max(largest, sigma.front());
    }
  }
  return largest;
}

}  // namespace

// relu(x) - relu(x) and relu(x) + relu(-x) = |x|: both have norm 1, the product of the norms is 2,
// and a diagonal multiplier sees what the product cannot.
TEST_CASE("lipsdp: nets of two neurons whose constant is known") {
  const Tensor up = Tensor::of({1, 1}, {2, 1});
  const Tensor down = Tensor::of({1, -1}, {2, 1});
  for (const Tensor& first : {up, down}) {
    const LipSdp found = lipsdp(two_layers(first, Tensor::of({1, -1}, {1, 2})));
    CHECK(found.product == doctest::Approx(2));
    CHECK(found.product >= 2);
    CHECK(found.hidden == 2);
    CHECK(found.bound.value >= 1);
  }
  const LipSdp equal = lipsdp(two_layers(up, Tensor::of({1, -1}, {1, 2})));
  // For slopes a, b in [0, 1] the derivative a - b reaches 1.
  CHECK(equal.bound.value <= 1 + 1e-3);
  CHECK(equal.bound.rule == "diagonal multipliers, their matrix inequality proved by Cholesky");
  // relu(x) + relu(x) = 2 relu(x): nothing is to be gained.
  const LipSdp twice = lipsdp(two_layers(up, Tensor::of({1, 1}, {1, 2})));
  CHECK(twice.bound.value >= 2);
  CHECK(twice.bound.value <= 2 * (1 + 1e-6));
}

TEST_CASE("lipsdp: between the largest Jacobian met and the product of the norms") {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    const Sequential net = random_net(seed);
    const LipSdp found = lipsdp(net);
    const double met = sampled(net, seed);
    CHECK(found.bound.value >= met);
    CHECK(found.bound.value < 0.8 * found.product);
    CHECK(found.product <= net.lipschitz_bound().value * (1 + 1e-12));
    // No slope pattern is worse than all slopes free: those of a sign pattern are met by sampling.
    CHECK(found.bound.value <= 3 * met);
  }
}

TEST_CASE("lipsdp: more steps of the search never lose, none beats the product") {
  const Sequential net = random_net(7);
  double before = lipsdp(net, 0).bound.value;
  CHECK(before < lipsdp(net).product);
  for (const std::int64_t steps : {5, 50, 300}) {
    const double value = lipsdp(net, steps).bound.value;
    CHECK(value <= before);
    before = value;
  }
}

TEST_CASE("lipsdp: one layer is its norm, zeros and weights of any size are no obstacle") {
  Sequential one;
  one.add("fc", dense(5, 3, 2));
  CHECK(lipsdp(one).bound.value == lipsdp(one).product);
  CHECK(lipsdp(one).hidden == 0);
  const Tensor zeros = Tensor::zeros({3, 2});
  CHECK(lipsdp(two_layers(zeros, Tensor::zeros({2, 3}))).bound.value <= 1e-6);
  for (const float size : {1e-18F, 1e18F}) {
    CAPTURE(size);
    Rng rng(3);
    const Tensor w = scale(random_normal(rng, {6, 4}), size).value();
    const Tensor v = random_normal(rng, {3, 6});
    const LipSdp found = lipsdp(two_layers(w, v));
    const LipSdp plain = lipsdp(two_layers(scale(w, 1 / size).value(), v));
    CHECK(found.bound.value / size == doctest::Approx(plain.bound.value).epsilon(0.02));
  }
}

TEST_CASE("lipsdp: says what it is not for") {
  Sequential sorted;
  sorted.add("fc1", dense(4, 4, 1)).add("act", MaxMin()).add("fc2", dense(4, 4, 2));
  CHECK_THROWS_WITH_AS(
      lipsdp(sorted),
      "lipsdp: act (MaxMin): expected dense layers with relu or leaky-relu between each two",
      ValueError);
  Sequential open;
  open.add("fc1", dense(4, 4, 1)).add("act", ReLU());
  CHECK_THROWS_WITH_AS(lipsdp(open), "lipsdp: expected a dense layer at the end, got none",
                       ValueError);
  Sequential doubled;
  doubled.add("fc1", dense(4, 4, 1)).add("fc2", dense(4, 4, 1));
  CHECK_THROWS_AS(lipsdp(doubled), ValueError);
  Sequential wide;
  wide.add("fc1", dense(3000, 1500, 1)).add("act", ReLU()).add("fc2", dense(1500, 4, 1));
  CHECK_THROWS_WITH_AS(
      lipsdp(wide), "lipsdp: expected at most 4096 inputs, neurons and outputs together, got 4504",
      ValueError);
  const Tensor nan = Tensor::full({1, 2}, std::numeric_limits<float>::quiet_NaN());
  CHECK_THROWS_AS(lipsdp(two_layers(Tensor::full({2, 1}, 1), nan)), NumericError);
}

TEST_SUITE_END();
