#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>

#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/branches.hpp>
#include <isotape/layers/convex_residual.hpp>
#include <isotape/layers/gain.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/model.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/composition");

namespace {

LayerSpec dense(std::string name, std::int64_t out) {
  return {std::move(name), "linear", {{"out", out}}};
}
LayerSpec gain(std::string name, double value) {
  return {std::move(name), "gain", {{"value", value}}};
}

std::unique_ptr<Module> build(const LayerSpec& layer, const Shape& input) {
  return build_layer(layer, input, 10, Rng(1));
}

double bound_of(const LayerSpec& layer, const Shape& input) {
  return build(layer, input)->lipschitz_bound().value;
}

// The largest singular value of an affine module.
double norm_of(const Module& module, const Shape& input) {
  const auto plain = module.materialize(DType::f64);
  const auto f = [&](const Var& x) { return plain->forward(x); };
  return singular_values(dense_operator(f, {1, input[0]}, DType::f64)).front();
}

}  // namespace

TEST_CASE("compositions: bounds through the graph, attained by what their layers are") {
  const std::vector<LayerSpec> two = {gain("a", 2), gain("b", 3)};
  const Shape input{4};
  struct Case {
    LayerSpec layer;
    double bound;
  };
  const LayerSpec convex{"r", "convex-residual", {{"share", 0.25}}, {gain("a", 2)}};
  const Case cases[] = {{{"s", "sum", {}, two}, 5},
                        {{"c", "concat", {}, two}, std::sqrt(13.0)},
                        {{"p", "split", {}, two}, 3},
                        {{"q", "sequential", {}, two}, 6},
                        {{"r", "concat-residual", {}, {gain("a", 2)}}, 2},
                        {{"r", "concat-residual", {}, {gain("a", 0.5)}}, 1},
                        {convex, 1.25}};
  for (const Case& one : cases) {
    CAPTURE(one.layer.type);
    const auto module = build(one.layer, input);
    CHECK(module->lipschitz_bound().value == doctest::Approx(one.bound).epsilon(1e-7));
    CHECK(norm_of(*module, input) <= module->lipschitz_bound().value * (1 + 1e-14));
    CHECK(norm_of(*module, input) == doctest::Approx(one.bound).epsilon(1e-6));
  }
  CHECK(bound_of({"r", "convex-residual", {}, {gain("a", 1)}}, input) == 1);
  CHECK(bound_of({"r", "convex-residual", {}, {}}, input) == 1);
}

TEST_CASE("compositions: bounds are never below the exact sum, product or root") {
  Rng rng(1);
  for (int i = 0; i < 2000; ++i) {
    const Tensor pair = random_uniform(rng, {2}, 0.5, 2, DType::f64);
    const auto a = static_cast<long double>(pair.at(0));
    const auto b = static_cast<long double>(pair.at(1));
    CHECK(static_cast<long double>(bound_sum(pair.at(0), pair.at(1))) >= a + b);
    const auto root = static_cast<long double>(bound_root(pair.at(0)));
    CHECK(root * root >= a);
    CHECK(root * root <= a * (1 + 1e-15L));
  }
  CHECK(bound_sum(0, 3) == 3);
  CHECK(bound_root(4) == 2);
}

TEST_CASE("compositions: names of parts join with dots, at any depth") {
  const LayerSpec inner{"inner", "sequential", {}, {dense("fc", 4), {"act", "maxmin", {}}}};
  const LayerSpec outer{"outer", "sum", {}, {inner, {"skip", "sequential", {}, {}}}};
  auto module = build(outer, {4});
  std::vector<std::string> names;
  for (const NamedParameter& named : module->parameters()) names.push_back(named.name);
  CHECK(names == std::vector<std::string>{"inner.fc.raw", "inner.fc.bias"});
  CHECK(module->weights()[0].name == "inner.fc");
  CHECK(module->folded_weights()[0].name == "inner.fc.weight");
  CHECK(module->describe() == "Sum of inner, skip");
  auto residual = build({"r", "concat-residual", {}, {dense("fc", 2)}}, {4});
  CHECK(residual->parameters()[0].name == "body.fc.raw");
}

TEST_CASE("gain: the gain of a network reaches every layer that shares it") {
  // deel-torchlip 1.0.5: Sequential(k_coef_lip=K) does not reach its linear layers; K = 0.2 gave a
  // local Lipschitz constant of 0.585, K = 5 one of 1.71.
  for (const double k : {0.2, 5.0}) {
    const LayerSpec share{"g1", "gain", {{"network", k}}};
    LayerSpec nested{
        "block", "sequential", {}, {{"g2", "gain", {{"network", k}}}, dense("fc2", 8)}};
    const ModelSpec spec{
        "net", {dense("fc1", 8), share, {"act", "groupsort", {}}, nested, dense("fc3", 8)}};
    const Model model = build_model(spec, {8}, 8, Rng(1));
    CHECK(model.net.lipschitz_bound().value == doctest::Approx(k).epsilon(1e-5));
    Rng rng(2);
    const Tensor x = random_normal(rng, {1, 8}, 1, DType::f64);
    const auto plain = model.net.materialize(DType::f64);
    Tape tape;
    const Var leaf = tape.leaf(x);
    const Var y = plain->forward(leaf);
    const Tensor dy = random_normal(rng, {1, 8}, 1, DType::f64);
    tape.backward(y, dy.clone());
    CHECK(frobenius_norm(leaf.grad()) == doctest::Approx(k * frobenius_norm(dy)).epsilon(1e-5));
  }
}

TEST_CASE("gain: one network, one gain") {
  const auto model = [](const std::vector<LayerSpec>& layers) {
    return build_model({"net", layers}, {4}, 4, Rng(1));
  };
  CHECK_THROWS_WITH_AS(
      model({{"a", "gain", {{"network", 2.0}}}, {"b", "gain", {{"network", 3.0}}}}),
      "b (gain): expected the network's gain 2 as in the others, got 3", ValueError);
  CHECK_THROWS_WITH_AS(model({{"a", "gain", {{"network", 2.0}, {"value", 3.0}}}}),
                       "a (gain): expected value or network, got both", ValueError);
  CHECK_THROWS_WITH_AS(model({{"a", "gain", {{"network", -2.0}}}}),
                       "a (gain): expected network in (0, 1e6], got -2", ValueError);
  CHECK_THROWS_WITH_AS(build({"a", "gain", {{"network", 2.0}}}, {4}),
                       "a (gain): expected value; network is the gain of a whole model, shared "
                       "when that is built",
                       ValueError);
}

TEST_CASE("compositions: what does not fit is named") {
  CHECK_THROWS_WITH_AS(build({"a", "maxmin", {}, {gain("b", 1)}}, {4}),
                       "a (maxmin): expected no layers within it, got 1", ValueError);
  CHECK_THROWS_WITH_AS(build({"s", "sum", {}, {}}, {4}),
                       "s (sum): expected layers, one per branch, got none", ValueError);
  CHECK_THROWS_WITH_AS(build({"p", "split", {}, {gain("a", 1), gain("b", 1)}}, {5}),
                       "split: expected channels in 2 equal shares, got input [5]", ShapeError);
  const auto sum = build({"s", "sum", {}, {dense("a", 3), dense("b", 4)}}, {4});
  CHECK_THROWS_WITH_AS(sum->output_shape({4}),
                       "sum: expected branches that join, got a of [3] and b of [4]", ShapeError);
  CHECK_THROWS_WITH_AS(build({"s", "sum", {}, {gain("a", 1), gain("a", 1)}}, {4}),
                       "sum: expected a name of its own, got 'a' twice", ValueError);
  const auto residual = build({"r", "convex-residual", {}, {dense("a", 3)}}, {4});
  CHECK_THROWS_WITH_AS(residual->output_shape({4}),
                       "convex_residual: expected layers that keep the shape [4], got [3]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(build({"r", "convex-residual", {{"share", 1.0}}, {}}, {4}),
                       "r (convex-residual): expected share in (0, 1), got 1", ValueError);
}

TEST_CASE("convex_residual: the share is learned, and a NaN in it has no bound") {
  Sequential body;
  body.add("twice", Gain(2));
  ConvexResidual residual(std::move(body), 0.5);
  const Tensor x = Tensor::of({1, 2}, {1, 2});
  CHECK(max_abs_diff(residual.forward(x).value(), Tensor::of({1.5, 3}, {1, 2})) <= 1e-6);
  Parameter& mix = *residual.parameters()[0].parameter;
  mix.write() = Tensor::full({1}, 50);  // a = 1
  CHECK(residual.lipschitz_bound().value == doctest::Approx(2));
  mix.write() = Tensor::full({1}, -1000);  // a = 0
  CHECK(residual.lipschitz_bound().value == 1);
  mix.write() = Tensor::full({1}, std::nan(""));
  CHECK_THROWS_AS(residual.lipschitz_bound(), NumericError);
}

TEST_CASE("linear-residual: bounded by the norm of the summed kernel, not by 1 plus that of K") {
  const auto residual = build({"r", "linear-residual", {{"gain", 2.0}}}, {6, 6, 4});
  CHECK(residual->lipschitz_bound().value >= residual->spectrum({6, 6, 4}).sigma.front());
  // K = -I/2: the sum is I/2.
  Parameter& half = *residual->parameters()[0].parameter;
  Tensor kernel = Tensor::zeros(half.value().shape());
  for (std::int64_t c = 0; c < 4; ++c) kernel.write<float>()[c * 36 + 16 + c] = -0.5F;
  half.write() = kernel;
  CHECK(residual->lipschitz_bound().value == doctest::Approx(0.5).epsilon(1e-9));
  CHECK(residual->spectrum({6, 6, 4}).sigma.front() == doctest::Approx(0.5).epsilon(1e-12));
  // y - x is the convolution by the raw kernel alone.
  Rng rng(3);
  const Tensor x = random_normal(rng, {2, 6, 6, 4});
  auto zero = build({"r", "linear-residual", {{"bias", false}}}, {6, 6, 4});
  Parameter& raw = *zero->parameters()[0].parameter;
  raw.write() = Tensor::zeros(raw.value().shape());
  CHECK(max_abs_diff(zero->forward(x).value(), x) == 0);
  CHECK(zero->lipschitz_bound().value == doctest::Approx(1).epsilon(1e-9));
}

TEST_CASE("model spec: nested layers in JSON and back") {
  const LayerSpec inner{"inner", "sequential", {}, {dense("fc", 4), gain("g", 2)}};
  const ModelSpec spec{"net", {{"s", "sum", {}, {inner, gain("b", 0.5)}}, dense("out", 4)}};
  CHECK(model_spec_from_json(to_json(spec)) == spec);
}

TEST_SUITE_END();
