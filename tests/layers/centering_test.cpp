#include <doctest/doctest.h>
#include <cmath>

#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/batch_norm.hpp>
#include <isotape/layers/centering.hpp>
#include <isotape/ops/reduce.hpp>
#include <isotape/ops/reshape.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/centering");

namespace {

// One pass as in training; the values.
Tensor trained_on(Module& module, const Tensor& x) {
  Tape tape;
  module.prepare();
  return module.forward(x).value();
}

Tensor buffer(Module& module, const std::string& name) {
  for (const NamedBuffer& named : module.buffers()) {
    if (named.name == name) return *named.tensor;
  }
  FAIL("no such buffer");
  return {};
}

}  // namespace

TEST_CASE("batch_center: the batch's mean in training, the running one else") {
  BatchCenter layer(3, 0.25);
  Rng rng(1);
  Tensor x = random_normal(rng, {4, 2, 5, 3}, 1, DType::f64).to(DType::f32);
  const Tensor batch_mean = mean(reshape(x, {40, 3}), 0).value();
  const Tensor y = trained_on(layer, x);
  CHECK(max_abs(mean(reshape(y, {40, 3}), 0).value()) <= 1e-6);
  const Tensor running = buffer(layer, "running_mean");
  for (std::int64_t c = 0; c < 3; ++c) {
    CHECK(running.at(c) == doctest::Approx(0.25 * batch_mean.at(c)).epsilon(1e-5));
  }
  // At inference a sample does not see its neighbours; neither in a recording with constant
  // parameters (an attack), which leaves the running mean alone.
  const Tensor whole = layer.forward(x).value();
  CHECK(max_abs_diff(layer.forward(x.rows(1, 2)).value(), whole.rows(1, 2)) == 0);
  {
    const ConstantParameters constants;
    CHECK(max_abs_diff(trained_on(layer, x), whole) == 0);
  }
  CHECK(max_abs_diff(buffer(layer, "running_mean"), running) == 0);
}

TEST_CASE("batch_center: bound 1, as a translation and on whole batches: not 2") {
  BatchCenter layer(2, 0.1);
  CHECK(layer.lipschitz_bound().value == 1);
  // In training, of the batch as one input: a projection.
  const auto f = [&](const Var& x) {
    const Tensor y = trained_on(layer, reshape(x, {4, 2}).value());
    return Var(y.reshaped({1, 8}));
  };
  const auto sigma = singular_values(dense_operator(f, {1, 8}, DType::f32));
  CHECK(sigma.front() == doctest::Approx(1).epsilon(1e-6));
  CHECK(sigma.back() <= 1e-6);
}

TEST_CASE("batch_center: a mean that is not finite has no bound") {
  BatchCenter layer(2, 0.1);
  *layer.buffers()[0].tensor = Tensor::full({2}, std::nan(""));
  CHECK_THROWS_AS(layer.lipschitz_bound(), NumericError);
  CHECK_THROWS_WITH_AS(BatchCenter(0, 0.1), "batch_center: expected channels >= 1, got 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(BatchCenter(2, 0), "batch_center: expected momentum in (0, 1], got 0",
                       ValueError);
}

TEST_CASE("layer_center: takes the mean of each sample off, over what it says") {
  Rng rng(2);
  const Tensor x = random_normal(rng, {3, 4, 5, 2});
  const Tensor pixels = LayerCenter(LayerCenter::Over::pixels).forward(x).value();
  CHECK(max_abs(mean(reshape(pixels, {3, 20, 2}), 1).value()) <= 1e-6);
  const Tensor channels = LayerCenter(LayerCenter::Over::channels).forward(x).value();
  CHECK(max_abs(mean(channels, -1).value()) <= 1e-6);
  const Tensor all = LayerCenter(LayerCenter::Over::all).forward(x).value();
  CHECK(max_abs(mean(reshape(all, {3, 40}), 1).value()) <= 1e-6);
  CHECK(max_abs(mean(reshape(all, {3, 20, 2}), 1).value()) > 0.01);
  CHECK_THROWS_WITH_AS(LayerCenter(LayerCenter::Over::pixels).output_shape({4}),
                       "layer_center: expected input [H, W, C], got [4]", ShapeError);
}

TEST_CASE("batch_norm: running moments as published, and inference by one scale and one shift") {
  BatchNorm layer(2, {.momentum = 0.5, .epsilon = 1e-3});
  const Tensor x = Tensor::of({1, 10, 2, 20, 3, 30, 6, 40}, {4, 2});  // means 3, 25
  const Tensor y = trained_on(layer, x);
  CHECK(max_abs(mean(y, 0).value()) <= 1e-6);
  const Tensor running_mean = buffer(layer, "running_mean");
  const Tensor running_var = buffer(layer, "running_var");
  CHECK(running_mean.at(0) == doctest::Approx(1.5));
  CHECK(running_mean.at(1) == doctest::Approx(12.5));
  // The unbiased variance of the batch: 14/3 and 500/3, half of it, and half of the first 1.
  CHECK(running_var.at(0) == doctest::Approx(0.5 + 14.0 / 6));
  CHECK(running_var.at(1) == doctest::Approx(0.5 + 500.0 / 6));
  const Tensor z = layer.forward(x).value();
  for (std::int64_t i = 0; i < 8; ++i) {
    const double expected =
        (x.at(i) - running_mean.at(i % 2)) / std::sqrt(running_var.at(i % 2) + 1e-3);
    CHECK(z.at(i) == doctest::Approx(expected).epsilon(1e-5));
  }
  CHECK(layer.lipschitz_bound().value ==
        doctest::Approx(1 / std::sqrt(0.5 + 14.0 / 6 + 1e-3)).epsilon(1e-6));
  CHECK(layer.materialize(DType::f32)->kind() == "ChannelAffine");
  CHECK(max_abs_diff(layer.materialize(DType::f32)->forward(x).value(), z) == 0);
  *layer.buffers()[1].tensor = Tensor::full({2}, -1);
  CHECK_THROWS_AS(layer.lipschitz_bound(), NumericError);
}

TEST_SUITE_END();
