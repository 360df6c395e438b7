#include <doctest/doctest.h>
#include <cmath>
#include <limits>
#include <support/fake_layer.hpp>

#include <isotape/apps/gradient_flow.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/loss.hpp>
#include <isotape/ops/matmul.hpp>

using namespace isotape;

namespace {

Model chain(const char* constraint, const char* activation) {
  ModelSpec spec{"chain", {}};
  for (int l = 1; l <= 6; ++l) {
    spec.layers.push_back({"fc" + std::to_string(l),
                           "linear",
                           {{"out", std::int64_t{8}}, {"constraint", std::string(constraint)}}});
    spec.layers.push_back({"act" + std::to_string(l), activation, {}});
  }
  return build_model(spec, {8}, 8, Rng(3));
}

Tensor images(std::int64_t n) {
  Rng rng(5);
  return random_normal(rng, {n, 8});
}

}  // namespace

TEST_SUITE_BEGIN("apps/gradient_flow");

TEST_CASE("gradient_flow: orthogonal layers and sorting keep every norm, at every depth") {
  Model model = chain("bjorck", "maxmin");
  const std::vector<std::int32_t> labels{0, 1, 2, 3, 4};
  const GradientFlow flow = gradient_flow(model, images(5), labels, softmax_cross_entropy);
  CHECK(flow.samples == 5);
  CHECK(flow.active == 5);
  REQUIRE(flow.norm.size() == 13);
  REQUIRE(flow.gain_min.size() == 12);
  for (const double norm : flow.norm) CHECK(std::abs(norm - 1) < 1e-5);
  for (const double norm : flow.low) CHECK(std::abs(norm - 1) < 1e-5);
  for (const double norm : flow.high) CHECK(std::abs(norm - 1) < 1e-5);
  for (const double share : flow.units) CHECK(share == 1);
  for (const double gain : flow.gain_min) CHECK(std::abs(gain - 1) < 1e-5);
  for (const double gain : flow.gain_max) CHECK(std::abs(gain - 1) < 1e-5);
}

TEST_CASE("gradient_flow: a rectifier loses what it loses") {
  Model model = chain("bjorck", "relu");
  const std::vector<std::int32_t> labels{0, 1, 2, 3, 4};
  const GradientFlow flow = gradient_flow(model, images(5), labels, softmax_cross_entropy);
  for (std::size_t l = 0; l < flow.gain_max.size(); ++l) {
    if (std::isnan(flow.gain_max[l])) continue;  // no gradient came this far
    const bool linear = l % 2 == 0;
    CHECK(flow.gain_max[l] <= 1 + 1e-5);
    if (linear) CHECK(flow.gain_min[l] >= 1 - 1e-5);
  }
  CHECK(flow.norm[0] < 0.8);
  // The gradient at a rectifier's input is 0 where it is shut, and only there.
  CHECK(flow.units.back() == 1);
  CHECK(flow.units[11] < 0.9);
  CHECK(flow.units[11] > 0.1);
  CHECK(flow.low[0] <= flow.median[0]);
  CHECK(flow.median[0] <= flow.high[0]);
  CHECK(flow.high[0] < 1);
}

TEST_CASE("gradient_flow: norms of a single sample are those of W^T dL/df") {
  Model model = build_model(
      {"one",
       {{"fc",
         "linear",
         {{"out", std::string("classes")}, {"constraint", std::string("unconstrained")}}}}},
      {8}, 3, Rng(3));
  const Tensor x = images(1);
  const std::vector<std::int32_t> label{2};
  Tape tape;
  const Var logits = tape.leaf(model.net.forward(x).value());
  tape.backward(softmax_cross_entropy(logits, label));
  const Tensor weight = model.net.folded_weights()[0].tensor;
  const double out = frobenius_norm(logits.grad());
  const double in = frobenius_norm(matmul(logits.grad(), weight).value());
  const GradientFlow flow = gradient_flow(model, x, label, softmax_cross_entropy);
  CHECK(flow.norm[1] == 1);
  CHECK(std::abs(flow.norm[0] - in / out) < 1e-6);
  CHECK(std::abs(flow.gain_max[0] - in / out) < 1e-6);
}

TEST_CASE("gradient_flow: norms are per sample, whatever the size of the batch") {
  Model model = chain("unconstrained", "abs");
  const Tensor x = images(1);
  Tensor copies({3, 8});
  for (std::int64_t i = 0; i < copies.size(); ++i)
    copies.write<float>()[i] = x.data<float>()[i % 8];
  const GradientFlow one = gradient_flow(model, x, {{1}}, softmax_cross_entropy);
  const GradientFlow three = gradient_flow(model, copies, {{1, 1, 1}}, softmax_cross_entropy);
  for (std::size_t l = 0; l < one.norm.size(); ++l) {
    CHECK(std::abs(one.norm[l] - three.norm[l]) <= 1e-5 * one.norm[l]);
  }
}

TEST_CASE("gradient_flow: leaves the parameters' gradients alone") {
  Model model = chain("bjorck", "maxmin");
  gradient_flow(model, images(2), {{1, 2}}, softmax_cross_entropy);
  for (const auto& [name, parameter] : model.net.parameters()) CHECK_FALSE(parameter->grad);
}

TEST_CASE("gradient_flow: refuses what is no batch for the model, and values that are not finite") {
  Model model = chain("bjorck", "maxmin");
  CHECK_THROWS_WITH_AS(gradient_flow(model, Tensor::zeros({2, 7}), {{1, 2}}, softmax_cross_entropy),
                       "audit: expected a batch of images [8], got [2, 7]", ShapeError);
  CHECK_THROWS_WITH_AS(gradient_flow(model, Tensor::zeros({0, 8}), {}, softmax_cross_entropy),
                       "audit: expected a batch of images [8], got [0, 8]", ShapeError);
  Tensor x = images(1);
  x.write<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH_AS(gradient_flow(model, x, {{1}}, softmax_cross_entropy),
                       "audit: expected a finite loss, got nan", NumericError);
}

TEST_SUITE_END();
