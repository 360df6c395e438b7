#include <doctest/doctest.h>
#include <cmath>
#include <limits>
#include <memory>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/gradient_norms.hpp>
#include <isotape/layers/linear.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/gradient_norms");

namespace {

// `depth` layers of `width` with an activation, whose weights, not their biases, are multiplied by
// a factor.
template <class Activation>
Sequential chain(int depth, std::int64_t width, const Parametrization& weight, float factor) {
  Sequential net;
  for (int i = 1; i <= depth; ++i) {
    Rng rng = Rng(1).stream("fc" + std::to_string(i));
    net.add("fc" + std::to_string(i), Linear(width, width, weight, rng));
    net.add("act" + std::to_string(i), Activation());
  }
  for (const auto& [name, parameter] : net.parameters()) {
    if (name.ends_with("bias")) continue;
    Tensor& raw = parameter->write();
    for (std::int64_t i = 0; i < raw.size(); ++i) raw.write<float>()[i] *= factor;
  }
  net.prepare();
  return net;
}

// The same from one backward pass through the whole net, in f64.
std::vector<double> at_input(const Sequential& net, const Tensor& x, const Tensor& gradient) {
  const std::unique_ptr<Module> folded = net.materialize(DType::f64);
  Tape tape;
  const Var leaf = tape.leaf(x);
  tape.backward(folded->forward(leaf), gradient.clone());
  std::vector<double> logs;
  for (std::int64_t i = 0; i < x.dim(0); ++i) {
    logs.push_back(std::log10(frobenius_norm(leaf.grad().rows(i, i + 1)) /
                              frobenius_norm(gradient.rows(i, i + 1))));
  }
  return logs;
}

}  // namespace

TEST_CASE("log_gradient_norms: is what one backward pass through the whole net finds") {
  Rng rng(2);
  const Tensor x = random_normal(rng, {6, 16}, 1, DType::f64);
  const Tensor gradient = random_normal(rng, {6, 16}, 3, DType::f64);
  const Sequential net = chain<ReLU>(5, 16, Bjorck{}, 1);
  const auto norms = log_gradient_norms(net, x, gradient);
  REQUIRE(norms.size() == 11);
  CHECK(norms.back() == std::vector<double>(6, 0.0));
  const std::vector<double> expected = at_input(net, x, gradient);
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(norms[0][i] == doctest::Approx(expected[i]).epsilon(1e-10));
    for (std::size_t l = 1; l < norms.size(); ++l) CHECK(norms[l - 1][i] <= norms[l][i] + 1e-6);
  }
}

TEST_CASE("log_gradient_norms: MaxMin between orthogonal matrices keeps every sample's gradient") {
  Rng rng(3);
  const Tensor x = random_normal(rng, {5, 16});
  const Tensor gradient = random_normal(rng, {5, 16});
  for (const auto& at : log_gradient_norms(chain<MaxMin>(30, 16, Bjorck{}, 1), x, gradient)) {
    for (const double log : at) CHECK(std::abs(log) < 1e-5);
  }
}

TEST_CASE("log_gradient_norms: goes far below the range of f64") {
  // Small weights between biases: signs are those of the biases, whatever the factor.
  Rng rng(4);
  const Tensor x = random_normal(rng, {3, 8}, 1, DType::f64);
  const Tensor gradient = random_normal(rng, {3, 8}, 1, DType::f64);
  const auto small = log_gradient_norms(chain<Abs>(80, 8, Unconstrained{}, 1e-5F), x, gradient);
  const auto smaller = log_gradient_norms(chain<Abs>(80, 8, Unconstrained{}, 1e-6F), x, gradient);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(small[0][i] < -400);
    CHECK(smaller[0][i] - small[0][i] == doctest::Approx(-80).epsilon(1e-6));
  }
}

TEST_CASE("log_gradient_norms: a gradient that vanishes is minus infinity from there on") {
  Sequential net = chain<ReLU>(2, 4, Bjorck{}, 1);
  for (const auto& [name, parameter] : net.parameters()) {
    if (name == "fc2.bias") parameter->write() = Tensor::full({4}, -100);
  }
  net.prepare();
  Rng rng(5);
  const Tensor x = random_normal(rng, {2, 4});
  const auto norms = log_gradient_norms(net, x, Tensor::full({2, 4}, 1));
  CHECK(norms[4][0] == 0);
  CHECK(norms[3][0] == -std::numeric_limits<double>::infinity());
  CHECK(norms[0][1] == -std::numeric_limits<double>::infinity());
  const auto zero = log_gradient_norms(net, x, Tensor::zeros({2, 4}));
  CHECK(zero[4][0] == -std::numeric_limits<double>::infinity());
}

TEST_CASE("log_gradient_norms: refuses gradients that do not fit or are not finite") {
  const Sequential net = chain<Abs>(1, 4, Bjorck{}, 1);
  CHECK_THROWS_WITH_AS(log_gradient_norms(net, Tensor::zeros({2, 4}), Tensor::zeros({2, 3})),
                       "log_gradient_norms: expected a gradient of shape [2, 4], got [2, 3]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(
      log_gradient_norms(net, Tensor::zeros({1, 4}),
                         Tensor::full({1, 4}, std::numeric_limits<double>::infinity())),
      "log_gradient_norms: expected a finite gradient, got inf", NumericError);
}

TEST_SUITE_END();
