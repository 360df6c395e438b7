#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/safetensors.hpp>
#include <isotape/layers/bcop.hpp>
#include <isotape/layers/checkpoint.hpp>
#include <isotape/layers/spectrum.hpp>
#include <isotape/ops/block_conv.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reduce.hpp>
#include <isotape/optim/make_optimizer.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/bcop_tall");

namespace {

constexpr BcopOptions tall{.projectors = Projectors::tall};

// Steps of Adam on |f(x) - y|^2 / 2 for random x and y.
void train(BcopConv2d& layer, const Shape& batch, int steps, Rng& rng) {
  const auto optimizer = make_optimizer("adam", layer.parameters());
  for (int step = 0; step < steps; ++step) {
    Tape tape;
    layer.prepare();
    const Var y = layer.forward(random_normal(rng, batch));
    tape.backward(mean(square(sub(y, random_normal(rng, y.shape())))));
    optimizer->step(1e-2);
  }
}

Tensor training_kernel(BcopConv2d& layer) {
  Tape tape;
  layer.prepare();
  return layer.kernel().value();
}

double deviation(const Tensor& kernel) {
  const auto sigma = kernel_singular_values(kernel, 5, 6);
  return std::max(std::abs(sigma.front() - 1), std::abs(sigma.back() - 1));
}

std::string names(const ParameterList& parameters) {
  std::string result;
  for (const auto& [name, parameter] : parameters) {
    result += message(name, ' ', parameter->value().shape(), ' ');
  }
  return result;
}

Model small_model(std::uint64_t seed) {
  const ModelSpec spec{
      "test",
      {{"conv1", "bcop", {{"out", std::int64_t{4}}, {"projectors", std::string("tall")}}},
       {"flatten", "flatten", {}},
       {"fc", "linear", {{"out", std::string("classes")}}}}};
  return build_model(spec, {4, 4, 2}, 3, Rng(seed));
}

}  // namespace

TEST_CASE("bcop tall: H and the bases are parameters of their own, orthogonally initialised") {
  Rng rng(1);
  BcopConv2d layer(5, 3, 3, rng, tall);
  CHECK(names(layer.parameters()) == "raw [1, 5, 5] projectors [4, 5, 2] bias [3] ");
  CHECK(layer.weights().size() == 2);
  CHECK(layer.describe() ==
        "BcopConv2d 5 -> 3, kernel 3, stride 1, tall projectors, circular padding");
  const Tensor bases = layer.parameters()[1].parameter->value();
  for (std::int64_t i = 0; i < 4; ++i) {
    double products[3] = {0, 0, 0};
    for (std::int64_t row = 0; row < 5; ++row) {
      const double a = bases.at((i * 5 + row) * 2);
      const double b = bases.at((i * 5 + row) * 2 + 1);
      products[0] += a * a;
      products[1] += b * b;
      products[2] += a * b;
    }
    CHECK(std::abs(products[0] - products[1]) < 1e-6);
    CHECK(std::abs(products[2]) < 1e-6);
  }
  // Strided, the extents are those behind the unshuffle; without projectors there is no parameter.
  BcopConv2d strided(2, 3, 4, rng, {.stride = 2, .bias = false, .projectors = Projectors::tall});
  CHECK(names(strided.parameters()) == "raw [1, 8, 8] projectors [2, 8, 4] ");
  BcopConv2d pointwise(5, 3, 1, rng, tall);
  CHECK(names(pointwise.parameters()) == "raw [1, 5, 5] bias [3] ");
  BcopConv2d single(1, 1, 3, rng, tall);
  CHECK(names(single.parameters()) == "raw [1, 1, 1] bias [1] ");
}

TEST_CASE("bcop tall: the kernel is that of square matrices with the same columns") {
  Rng rng(2);
  BcopConv2d layer(3, 6, 3, rng, tall);
  train(layer, {4, 5, 5, 3}, 3, rng);
  const auto weights = layer.weights();
  const Tensor expected =
      bcop_kernel(weights[0].weight->folded_f64(), weights[1].weight->folded_f64(), 3, 6).value();
  CHECK(max_abs_diff(layer.folded_kernel().to(DType::f64), expected) <= 1e-7);
}

TEST_CASE("bcop tall: the f32 kernel of training stays orthogonal to 3e-6, in both modes") {
  struct Extents {
    std::int64_t in, out;
    int kernel, stride;
  };
  for (const bool retracted : {false, true}) {
    for (const Extents& e : {Extents{8, 8, 3, 1}, {5, 9, 3, 1}, {9, 4, 2, 1}, {4, 16, 4, 2}}) {
      CAPTURE(retracted);
      CAPTURE(e.in);
      Rng rng(3);
      BcopConv2d layer(e.in, e.out, e.kernel, rng,
                       {.stride = e.stride, .projectors = Projectors::tall});
      if (retracted) {
        for (const auto& [name, weight] : layer.weights()) weight->retract();
      }
      const Tensor before = layer.folded_kernel();
      train(layer, {4, 6, 6, e.in}, 25, rng);
      CHECK(max_abs_diff(layer.folded_kernel(), before) > 0.01);
      CHECK(deviation(training_kernel(layer)) <= 3e-6);
      CHECK(deviation(layer.folded_kernel()) <= 3e-7);
      CHECK(max_abs_diff(training_kernel(layer), layer.folded_kernel()) <= 3e-6);
      CHECK(layer.residual().value <= 1e-6);
      CHECK(layer.residual().reason == "largest |sigma - 1| of the enclosure");
      CHECK(layer.lipschitz_bound().value <= 1 + 1e-6);
    }
  }
}

TEST_CASE("bcop tall: the kernel is made once per version of either parameter") {
  Rng rng(4);
  BcopConv2d layer(4, 4, 3, rng, tall);
  Parameter& raw = *layer.parameters()[0].parameter;
  Parameter& projectors = *layer.parameters()[1].parameter;
  const Tensor folded = layer.folded_kernel();
  CHECK(layer.folded_kernel().shares_storage_with(folded));
  for (Parameter* parameter : {&raw, &projectors}) {
    Tape tape;
    layer.prepare();
    const std::size_t prepared = tape.size();
    const Tensor kernel = layer.kernel().value();
    CHECK(layer.kernel().value().shares_storage_with(kernel));
    CHECK(tape.size() == prepared);  // with the weights
    parameter->write() = random_normal(rng, parameter->value().shape());
    CHECK(max_abs_diff(layer.kernel().value(), kernel) > 0.1);
    CHECK(max_abs_diff(layer.folded_kernel(), folded) > 0.1);
  }
}

TEST_CASE("bcop tall: one parameter may be frozen, or all") {
  Rng rng(5);
  const Tensor x = random_normal(rng, {2, 4, 4, 4});
  for (const std::size_t frozen : {0, 1}) {
    BcopConv2d layer(4, 4, 3, rng, tall);
    const ParameterList parameters = layer.parameters();
    parameters[frozen].parameter->trainable = false;
    Tape tape;
    layer.prepare();
    tape.backward(sum(square(sub(layer.forward(x), x))));
    CHECK_FALSE(parameters[frozen].parameter->grad);
    CHECK(frobenius_norm(parameters[1 - frozen].parameter->grad) > 1e-3);
  }
  BcopConv2d layer(4, 4, 3, rng, {.frozen = true, .projectors = Projectors::tall});
  for (const auto& [name, parameter] : layer.parameters()) CHECK_FALSE(parameter->trainable);
}

TEST_CASE("bcop tall: bases without full rank are refused in training, by name") {
  Rng rng(6);
  Model model = small_model(1);
  const ParameterList parameters = model.net.parameters();
  REQUIRE(parameters[1].name == "conv1.projectors");
  parameters[1].parameter->write() = Tensor::zeros({4, 4, 2});
  Tape tape;
  CHECK_THROWS_WITH_AS(model.net.prepare(),
                       "conv1.projectors: cholesky_qr: expected full column rank, got condition "
                       "inf (at most 1e+06) of matrix 0",
                       NumericError);
}

TEST_CASE("bcop tall: a saved model is loaded with equal bits, a lost rank completed") {
  const auto folder = std::filesystem::temp_directory_path() / "isotape-bcop-tall-test";
  std::filesystem::create_directory(folder);
  Model model = small_model(2);
  save_model(folder / "a", model);
  const LoadedModel loaded = load_model(folder / "a");
  CHECK(loaded.warnings.empty());
  Rng rng(3);
  const Tensor x = random_uniform(rng, {3, 4, 4, 2}, 0, 1);
  CHECK(max_abs_diff(model.net.forward(x).value(), loaded.model.net.forward(x).value()) == 0);

  SafeTensors file = load_safetensors(folder / "a");
  REQUIRE(file.tensors.count("conv1.projectors") == 1);
  CHECK(file.tensors.at("conv1.projectors").shape() == Shape{4, 4, 2});
  CHECK(file.tensors.at("conv1.raw").shape() == Shape{1, 4, 4});
  file.tensors.at("conv1.projectors") = Tensor::zeros({4, 4, 2});
  save_safetensors(folder / "b", file);
  const LoadedModel completed = load_model(folder / "b", {.check_folds = false});
  REQUIRE(completed.warnings.size() == 1);
  CHECK(completed.warnings[0].find(
            "conv1.projectors: 4 of 4 raw matrices had lost rank; completed them by a seeded "
            "orthonormal basis of the null space") != std::string::npos);
  std::filesystem::remove_all(folder);
}

TEST_SUITE_END();
