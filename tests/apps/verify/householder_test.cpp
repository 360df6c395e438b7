#include <doctest/doctest.h>
#include <cmath>
#include <numbers>
#include <random>

#include <isotape/apps/verify/failure.hpp>
#include <isotape/apps/verify/forward.hpp>
#include <isotape/apps/verify/rounding.hpp>
#include <isotape/core/tensor.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/householder.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/verify/householder");

namespace {

using Numbers = std::vector<double>;
using std::numbers::pi;

// A vector of pairs, `angles` of which each has, and the checker's layer for them.
struct Example {
  std::int64_t pairs;
  Tensor theta;
  verify::WeightsFile weights;
  verify::Chain chain;
  verify::Network network;

  Example(std::int64_t count, int angles, const std::vector<float>& values) : pairs(count) {
    theta = Tensor::of(Numbers(values.begin(), values.end()),
                       angles == 1 ? Shape{count} : Shape{3, count}, DType::f32);
    weights.tensors["t"].entries = values;
    weights.tensors["t"].shape.assign(theta.shape().begin(), theta.shape().end());
    chain.resize(1);
    chain[0].name = chain[0].op = "householder";
    chain[0].theta = "t";
    network = verify::resolve(chain, {1, 1, 2 * count, true}, weights);
  }
  Numbers own(const Numbers& x) const { return verify::forward(network, {x})[0]; }
  Numbers engine(const Numbers& x, DType dtype) const {
    const Tensor in = Tensor::of(x, {1, 2 * pairs}, dtype);
    const Var y =
        theta.rank() == 1 ? householder(in, theta.to(dtype)) : householder2(in, theta.to(dtype));
    const Tensor wide = y.value().to(DType::f64);
    return {wide.data<double>(), wide.data<double>() + wide.size()};
  }
  double error(double norm, const verify::Format& format) const {
    return verify::propagate(network, {norm, 0}, format).error;
  }
};

double distance(const Numbers& a, const Numbers& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

// Angles anywhere, and those at which sectors vanish or begin anew.
Example example(int angles, std::mt19937& random) {
  constexpr std::int64_t pairs = 40;
  const double special[] = {0, pi, 2 * pi, 4 * pi, -pi, -2 * pi, 0x1p-30, 2 * pi - 1e-6};
  std::uniform_real_distribution<double> anywhere(-16, 16);
  std::vector<float> values(static_cast<std::size_t>(angles * pairs));
  for (float& value : values) {
    const std::uint32_t which = random() % 16;
    value = static_cast<float>(which < 8 ? special[which] : anywhere(random));
  }
  return {pairs, angles, values};
}

// Directions of edges, to the nearest f32 numbers, some of them moved by a little.
Numbers near_edges(const Example& e, std::mt19937& random) {
  Numbers x(static_cast<std::size_t>(2 * e.pairs));
  for (std::int64_t i = 0; i < e.pairs; ++i) {
    const std::int64_t rows = e.theta.size() / e.pairs;
    double angle = 0;
    for (std::int64_t k = random() % (rows + 1); k > 0; --k) {
      angle += e.theta.at((k - 1) * e.pairs + i) / 2;
    }
    if (random() % 4 == 0) angle += pi;
    angle += 1e-7 * (static_cast<double>(random() % 21) - 10);
    x[i] = static_cast<double>(static_cast<float>(std::cos(angle)));
    x[e.pairs + i] = static_cast<double>(static_cast<float>(std::sin(angle)));
  }
  return x;
}

}  // namespace

TEST_CASE("householder: near edges, engine and checker agree within their rounding") {
  std::mt19937 random(41);
  for (int repeat = 0; repeat < 200; ++repeat) {
    for (const int angles : {1, 3}) {
      CAPTURE(angles);
      const Example e = example(angles, random);
      const Numbers x = near_edges(e, random);
      const double norm = distance(x, Numbers(x.size()));
      const Numbers own = e.own(x);
      const double fine = e.error(norm, verify::f64_format);
      CHECK(std::isfinite(fine));
      CHECK(distance(own, e.engine(x, DType::f64)) <= 2 * fine);
      CHECK(distance(own, e.engine(x, DType::f32)) <= fine + e.error(norm, verify::f32_format));
    }
  }
}

TEST_CASE("householder: no pair of inputs moves further apart, across edges too") {
  std::mt19937 random(43);
  for (int repeat = 0; repeat < 200; ++repeat) {
    for (const int angles : {1, 3}) {
      CAPTURE(angles);
      const Example e = example(angles, random);
      const Numbers x = near_edges(e, random);
      const Numbers z = near_edges(e, random);
      Numbers nearby = x;
      for (double& entry : nearby) entry += 1e-3 * (static_cast<double>(random() % 21) - 10);
      for (const Numbers& other : {z, nearby}) {
        CHECK(distance(e.own(x), e.own(other)) <= distance(x, other) * (1 + 1e-12) + 1e-12);
      }
    }
  }
}

TEST_CASE("householder: angles of order 2 beyond 16 prove nothing, and none of other extents") {
  CHECK(std::isfinite(Example(1, 3, {16, -16, 0}).error(1, verify::f64_format)));
  CHECK(std::isinf(Example(1, 3, {16.5F, 0, 0}).error(1, verify::f64_format)));
  CHECK(std::isfinite(Example(1, 1, {100}).error(1, verify::f64_format)));
  Example odd(2, 1, {1, 2});
  CHECK_THROWS_WITH_AS(verify::resolve(odd.chain, {1, 1, 3, true}, odd.weights),
                       "householder (householder): expected an even number of channels, found [3]",
                       verify::Failure);
  CHECK_THROWS_WITH_AS(verify::resolve(odd.chain, {1, 1, 6, true}, odd.weights),
                       "weights: t: expected shape [3], found [2]", verify::Failure);
}

TEST_SUITE_END();
