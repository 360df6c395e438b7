#include <doctest/doctest.h>
#include <cmath>
#include <utility>

#include <isotape/core/random.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/bcop.hpp>
#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/rearrange.hpp>
#include <isotape/layers/sequential.hpp>
#include <isotape/ops/reduce.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/sequential");

namespace {

Sequential small_net(Rng& rng) {
  Sequential net;
  net.add("flatten", Flatten())
      .add("fc1", Linear(12, 8, Bjorck{}, rng))
      .add("act", MaxMin())
      .add("fc2", Linear(8, 3, Bjorck{}, rng));
  return net;
}

}  // namespace

TEST_CASE("sequential: names of parts join with dots") {
  Rng rng(1);
  Sequential net = small_net(rng);
  std::vector<std::string> names;
  for (const NamedParameter& named : net.parameters()) names.push_back(named.name);
  CHECK(names == std::vector<std::string>{"fc1.raw", "fc1.bias", "fc2.raw", "fc2.bias"});
  CHECK(net.weights()[1].name == "fc2");
  CHECK(net.folded_weights()[0].name == "fc1.weight");
  CHECK(parameter_count(net.parameters()) == 12 * 8 + 8 + 8 * 3 + 3);
  CHECK_THROWS_WITH_AS(net.add("fc1", MaxMin()),
                       "sequential: expected a name of its own, got 'fc1' twice", ValueError);
  CHECK_THROWS_WITH_AS(net.add("a.b", MaxMin()),
                       "sequential: expected a name without dots, got 'a.b'", ValueError);
}

TEST_CASE("sequential: an error says which part does not fit") {
  Rng rng(1);
  const Sequential net = small_net(rng);
  CHECK_THROWS_WITH_AS(net.output_shape({2, 2, 4}), "fc1: linear: expected input [12], got [16]",
                       ShapeError);
}

TEST_CASE("sequential: the bound is the product of the parts' and never below it") {
  Rng rng(2);
  Sequential net;
  double product = 1;
  for (int i = 0; i < 5; ++i) {
    Linear layer(6, 6, Unconstrained{}, rng);
    product *= layer.lipschitz_bound().value;
    net.add("fc" + std::to_string(i), std::move(layer));
  }
  const double bound = net.lipschitz_bound().value;
  CHECK(bound >= product);
  CHECK(bound <= product * (1 + 1e-14));
  CHECK(net.gnp() == NormPreservation::none);
}

TEST_CASE("sequential: 50 orthogonal layers keep the bound below 1.00001 and the gradient's norm") {
  Rng rng(3);
  Sequential net;
  for (int i = 0; i < 50; ++i) {
    net.add("fc" + std::to_string(i), Linear(16, 16, Bjorck{}, rng));
    net.add("act" + std::to_string(i), MaxMin());
  }
  CHECK(net.lipschitz_bound().value < 1.00005);
  CHECK(net.gnp() == NormPreservation::both);
  Tape tape;
  const ConstantParameters constant;
  const Var x = tape.leaf(random_normal(rng, {1, 16}));
  const Var y = net.forward(x);
  const Tensor dy = random_normal(rng, {1, 16});
  tape.backward(y, dy.clone());
  CHECK(std::abs(frobenius_norm(x.grad()) / frobenius_norm(dy) - 1) < 1e-5);
}

TEST_CASE("sequential: an activation adds the bias of the layer before it in its own pass") {
  Rng rng(6);
  Sequential net;
  net.add("conv", Conv2d(2, 6, 3, Unconstrained{}, rng))
      .add("act1", MaxMin())
      .add("bcop", BcopConv2d(6, 8, 2, rng, {.stride = 2}))
      .add("act2", GroupSort(2, Pairing::adjacent))
      .add("flatten", Flatten())
      .add("fc1", Linear(32, 12, Bjorck{}, rng))
      .add("act3", GroupSort(3))
      .add("fc2", Linear(12, 6, Unconstrained{}, rng, false))
      .add("act4", MaxMin())
      .add("fc3", Linear(6, 6, Unconstrained{}, rng))
      .add("act5", ReLU())
      .add("act6", Abs());
  const Tensor x = random_normal(rng, {3, 4, 4, 2});
  const Tensor dy = random_normal(rng, {3, 6});
  const auto gradients = [&](const auto& forward) {
    Tape tape;
    net.prepare();
    const Var y = forward(Var(x));
    tape.backward(y, dy.clone());
    Tensors result{y.value()};
    for (const NamedParameter& named : net.parameters()) {
      result.push_back(std::exchange(named.parameter->grad, Tensor()));
    }
    return result;
  };
  const Tensors whole = gradients([&](const Var& in) { return net.forward(in); });
  const Tensors parts = gradients([&](Var y) {
    for (const Sequential::Part& part : net.parts()) y = part.module->forward(y);
    return y;
  });
  REQUIRE(whole.size() == 10);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    CAPTURE(i);
    REQUIRE(whole[i]);
    CHECK(max_abs_diff(whole[i], parts[i]) <= 1e-5 * (1 + max_abs(parts[i])));
  }
  const Tensor before = x.clone();
  CHECK(max_abs_diff(net.forward(x).value(), whole[0]) <= 1e-5 * (1 + max_abs(whole[0])));
  CHECK(max_abs_diff(x, before) == 0);

  Tape tape;
  net.prepare();
  net.forward(x);
  const auto count = [&](std::string_view op) {
    std::size_t n = 0;
    for (std::size_t i = 0; i < tape.size(); ++i) n += tape.op_name(i) == op ? 1 : 0;
    return n;
  };
  CHECK(count("max_min") == 3);
  CHECK(count("group_sort") == 1);
}

TEST_CASE("sequential: an activation in front leaves the caller's value as it is") {
  Rng rng(7);
  Sequential net;
  net.add("relu", ReLU()).add("abs", Abs()).add("act", MaxMin());
  const Tensor x = random_normal(rng, {4, 6});
  const Tensor before = x.clone();
  const Tensor y = net.forward(x).value();
  CHECK(max_abs_diff(x, before) == 0);
  CHECK_FALSE(y.shares_storage_with(x));
}

TEST_CASE("parameters: two forwards in one recording share the weight, a write makes a new one") {
  Rng rng(4);
  Sequential net = small_net(rng);
  const Tensor x = random_normal(rng, {2, 2, 2, 3});
  Tape tape;
  net.prepare();
  net.forward(x);
  const std::size_t once = tape.size();
  net.forward(x);
  const std::size_t twice = tape.size();
  const auto count = [&](std::string_view op) {
    std::size_t n = 0;
    for (std::size_t i = 0; i < tape.size(); ++i) n += tape.op_name(i) == op ? 1 : 0;
    return n;
  };
  CHECK(count("bjorck") == 1);  // both layers in one node
  CHECK(twice > once);
  net.parameters()[0].parameter->write();
  net.prepare();
  CHECK(count("bjorck") == 2);
}

TEST_CASE("parameters: gradients accumulate in the parameters, frozen ones get none") {
  Rng rng(5);
  Sequential net = small_net(rng);
  ParameterList parameters = net.parameters();
  parameters[2].parameter->trainable = false;
  const Tensor x = random_normal(rng, {2, 2, 2, 3});
  const auto backward = [&] {
    Tape tape;
    net.prepare();
    tape.backward(sum(net.forward(x)));
  };
  backward();
  const Tensor first = parameters[0].parameter->grad.clone();
  backward();
  CHECK_FALSE(parameters[2].parameter->grad);
  CHECK(frobenius_norm(first) > 0);
  CHECK(std::abs(frobenius_norm(parameters[0].parameter->grad) - 2 * frobenius_norm(first)) < 1e-5);
}

TEST_SUITE_END();
