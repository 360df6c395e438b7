#include <doctest/doctest.h>
#include <cmath>
#include <numeric>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/jacobian.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/layers/sequential.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/jacobian");

namespace {

std::unique_ptr<Module> folded(Module& net) {
  net.prepare();
  return net.materialize(DType::f64);
}

Tensor inputs(const Shape& shape) {
  Rng rng(9);
  return random_normal(rng, shape, 1, DType::f64);
}

// A dense layer of a diagonal matrix.
Sequential diagonal(const std::vector<double>& values) {
  const auto n = static_cast<std::int64_t>(values.size());
  Rng rng(1);
  Linear layer(n, n, Unconstrained{}, rng);
  Tensor w = Tensor::zeros({n, n});
  for (std::int64_t i = 0; i < n; ++i)
    w.write<float>()[i * (n + 1)] = static_cast<float>(values[i]);
  layer.parameters()[0].parameter->write() = w;
  Sequential net;
  net.add("fc", std::move(layer));
  return net;
}

// Of a piecewise linear net, by differences within the piece.
std::vector<double> by_differences(const Module& net, const Tensor& x) {
  const std::int64_t n = x.size();
  const Tensor y = net.forward(x).value();
  Tensor jacobian({y.size(), n}, DType::f64);
  for (std::int64_t j = 0; j < n; ++j) {
    Tensor moved = x.clone();
    moved.write<double>()[j] += 1e-7;
    const Tensor z = net.forward(moved).value();
    for (std::int64_t i = 0; i < y.size(); ++i) {
      jacobian.write<double>()[i * n + j] = (z.at(i) - y.at(i)) / 1e-7;
    }
  }
  return singular_values(jacobian);
}

Sequential rectified(std::int64_t in, std::int64_t out) {
  Rng rng(2);
  Sequential net;
  net.add("fc1", Linear(in, 9, Unconstrained{}, rng)).add("act", ReLU());
  net.add("fc2", Linear(9, out, Unconstrained{}, rng));
  return net;
}

}  // namespace

TEST_CASE("jacobian_singular_values: all 1 in a network that keeps norms") {
  Model model = build_model(named_model("bcop-small"), {8, 8, 1}, 10, Rng(3));
  const auto net = folded(model.net);
  for (const auto& values : jacobian_singular_values(*net, inputs({3, 8, 8, 1}))) {
    REQUIRE(values.size() == 10);
    CHECK(values.front() < 1 + 1e-6);
    CHECK(values.back() > 0);
  }
  Rng rng(4);
  Sequential square;
  square.add("fc1", Linear(6, 6, Bjorck{}, rng)).add("act", MaxMin());
  square.add("fc2", Linear(6, 6, Bjorck{}, rng));
  for (const auto& values : jacobian_singular_values(*folded(square), inputs({4, 6}))) {
    CHECK(values.front() < 1 + 1e-6);
    CHECK(values.back() > 1 - 1e-6);
  }
}

TEST_CASE("jacobian_singular_values: those of differences, by rows and by columns") {
  for (const auto& extents : {std::pair<std::int64_t, std::int64_t>{7, 4}, {4, 7}}) {
    const std::int64_t in = extents.first;
    const std::int64_t out = extents.second;
    CAPTURE(in);
    Sequential net = rectified(in, out);
    const auto plain = folded(net);
    const Tensor x = inputs({2, in});
    const auto values = jacobian_singular_values(*plain, x);
    REQUIRE(values.size() == 2);
    for (std::int64_t i = 0; i < 2; ++i) {
      const auto expected = by_differences(*plain, x.rows(i, i + 1));
      REQUIRE(values[i].size() == expected.size());
      for (std::size_t k = 0; k < expected.size(); ++k) {
        CHECK(values[i][k] == doctest::Approx(expected[k]).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("jacobian_density: as many steps as there are values find all of them") {
  Sequential net = diagonal({3, 2, 1.5, 1, 0.5});
  Rng rng(5);
  const SpectralDensity density = jacobian_density(*folded(net), inputs({1, 5}), 50, 1, rng);
  REQUIRE(density.sigma.size() == 5);
  const std::vector<double> expected = {3, 2, 1.5, 1, 0.5};
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(density.sigma[i] == doctest::Approx(expected[i]).epsilon(1e-9));
  }
  CHECK(std::accumulate(density.weight.begin(), density.weight.end(), 0.0) ==
        doctest::Approx(1).epsilon(1e-12));
}

TEST_CASE("jacobian_density: few steps and many probes tell the shares") {
  std::vector<double> values(200, 1.0);
  for (int i = 0; i < 50; ++i) values[i] = 0.1;
  Sequential net = diagonal(values);
  Rng rng(6);
  const SpectralDensity density = jacobian_density(*folded(net), inputs({1, 200}), 8, 40, rng);
  double small = 0;
  for (std::size_t i = 0; i < density.sigma.size(); ++i) {
    if (density.sigma[i] < 0.5) small += density.weight[i];
  }
  CHECK(small == doctest::Approx(0.25).epsilon(0.1));
  CHECK(density.quantile(0.1) == doctest::Approx(0.1).epsilon(1e-6));
  CHECK(density.quantile(0.5) == doctest::Approx(1).epsilon(1e-6));
  CHECK(density.sigma.front() <= 1 + 1e-9);
}

TEST_CASE("jacobian_density: an isometry has one node, and a constant has none but 0") {
  Rng rng(7);
  Sequential net;
  net.add("fc", Linear(6, 6, Bjorck{}, rng));
  const SpectralDensity density = jacobian_density(*folded(net), inputs({1, 6}), 6, 2, rng);
  for (const double sigma : density.sigma) CHECK(sigma == doctest::Approx(1).epsilon(1e-6));
  Sequential zero = diagonal({0, 0, 0});
  CHECK(jacobian_density(*folded(zero), inputs({1, 3}), 3, 1, rng).sigma.front() == 0);
}

TEST_CASE("jacobian_density: one input at a time, and at least a step") {
  Sequential net = diagonal({1, 1});
  Rng rng(8);
  CHECK_THROWS_WITH_AS(jacobian_density(*folded(net), inputs({2, 2}), 3, 1, rng),
                       "jacobian_density: expected one input, steps and probes >= 1, got [2, 2], "
                       "3 and 1",
                       ValueError);
}
