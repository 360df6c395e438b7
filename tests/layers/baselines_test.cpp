// The convolutions that BCOP is compared with [Li 2019], against what is known of them.

#include <doctest/doctest.h>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/l2ne.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/layers/spectrum.hpp>
#include <isotape/layers/svcm.hpp>
#include <isotape/ops/elementwise.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/baselines");

namespace {

Tensor filled(const Shape& shape, double value) {
  return add_scalar(Tensor::zeros(shape, DType::f64), value).value();
}

}  // namespace

TEST_CASE("svcm: many projections leave little above 1, one is exact before the mask") {
  Rng rng(1);
  const Tensor kernel = random_normal(rng, {6, 3, 3, 4}, 0.5, DType::f64);
  REQUIRE(kernel_singular_values(kernel, 6, 5).front() > 1.5);
  const Tensor once = clip_singular_values(kernel, 6, 5, 1, 1);
  const Tensor often = clip_singular_values(kernel, 6, 5, 1, 50);
  const double after_one = kernel_singular_values(once, 6, 5).front();
  const double after_50 = kernel_singular_values(often, 6, 5).front();
  CHECK(after_50 <= 1.005);
  CHECK(after_one > after_50);
  // A kernel of the image's extents has no taps to mask: one projection clips exactly.
  const Tensor full = random_normal(rng, {3, 4, 5, 2}, 0.5, DType::f64);
  const auto clipped = kernel_singular_values(clip_singular_values(full, 4, 5, 1, 1), 4, 5);
  const auto before = kernel_singular_values(full, 4, 5);
  for (std::size_t i = 0; i < before.size(); ++i) {
    CHECK(std::abs(clipped[i] - std::min(before[i], 1.0)) <= 1e-13);
  }
}

TEST_CASE("svcm: a kernel of norm 1 stays as it is, groups are clipped by themselves") {
  Rng rng(2);
  const Tensor kernel = scale(random_normal(rng, {4, 3, 2, 3}, 1, DType::f64), 0.05).value();
  REQUIRE(kernel_singular_values(kernel, 5, 5).front() < 1);
  CHECK(max_abs_diff(clip_singular_values(kernel, 5, 5, 1, 3), kernel) <= 1e-15);
  const Tensor grouped = random_normal(rng, {4, 3, 3, 2}, 1, DType::f64);
  const Tensor clipped = clip_singular_values(grouped, 6, 6, 2, 4);
  CHECK(max_abs_diff(clipped.rows(2, 4), clip_singular_values(grouped.rows(2, 4), 6, 6, 1, 4)) ==
        0);
  CHECK_THROWS_WITH_AS(
      clip_singular_values(grouped, 2, 6, 2, 1),
      "svcm: expected a kernel [O, h, w, I] no larger than the image 2 x 6, got [4, 3, 3, 2]",
      ShapeError);
}

TEST_CASE("svcm: projected by its schedule alone") {
  Rng rng(3);
  Conv2d layer(3, 4, 3, Unconstrained{}, rng,
               {.clip = ClipOptions{.every = 4, .projections = 2, .image = {5, 5, 3}}});
  Parameter& raw = *layer.parameters()[0].parameter;
  raw.write() = random_normal(rng, raw.value().shape());
  const Tensor start = raw.value().clone();
  layer.project(3, false);
  CHECK(max_abs_diff(raw.value(), start) == 0);
  layer.project(4, false);
  CHECK(max_abs_diff(raw.value(), start) > 0.1);
  raw.write() = start;
  layer.project(5, true);
  CHECK(max_abs_diff(raw.value(), start) > 0.1);
}

TEST_CASE("svcm: projected inside of compositions, too") {
  for (const char* type : {"sequential", "sum", "split", "convex-residual", "concat-residual"}) {
    CAPTURE(type);
    LayerSpec inner{"inner", "svcm", {{"out", std::int64_t{2}}}};
    LayerSpec outer{"outer", type, {}};
    const bool halves = std::string(type) == "concat-residual" || std::string(type) == "split";
    outer.layers = {inner};
    if (std::string(type) == "split") {
      inner.name = "other";
      outer.layers.push_back(inner);
    }
    const auto module = build_layer(outer, {4, 4, halves ? 4 : 2}, 10, Rng(6));
    for (const auto& [name, parameter] : module->parameters()) {
      if (parameter->value().rank() != 4) continue;
      parameter->write() = scale(parameter->value(), 20).value();
    }
    const double before = module->lipschitz_bound().value;
    module->project(1, true);
    CHECK(module->lipschitz_bound().value < before / 2);
  }
}

TEST_CASE("ossn: divided by the norm on its image where above 1, else untouched") {
  Rng rng(4);
  const OneSidedOptions options{.iterations = 10, .image = {7, 6, 3}};
  Conv2d layer(3, 5, 3, Unconstrained{}, rng, {.one_sided = options});
  Parameter& raw = *layer.parameters()[0].parameter;
  const double start = kernel_singular_values(raw.value(), 7, 6).front();
  for (const double factor : {3.0, 0.2}) {
    const Tensor kernel = scale(raw.value(), factor / start).value();
    raw.write() = kernel;
    for (int i = 0; i < 20; ++i) {
      Tape tape;
      layer.prepare();
    }
    const double sigma = kernel_singular_values(layer.folded_kernel(), 7, 6).front();
    CHECK(sigma == doctest::Approx(std::min(factor, 1.0)).epsilon(1e-3));
    CHECK(layer.lipschitz_bound().value >= sigma);
    raw.write() = scale(kernel, start / factor).value();
  }
}

TEST_CASE("ossn: the factor is of the weights in use, not of those before the last step") {
  // LConvNet evaluates with the factor of the last training pass: its norms exceed 1.
  Rng rng(5);
  Conv2d layer(2, 2, 3, Unconstrained{}, rng,
               {.one_sided = OneSidedOptions{.iterations = 10, .image = {6, 6, 2}}});
  Parameter& raw = *layer.parameters()[0].parameter;
  {
    Tape tape;
    layer.prepare();
  }
  const Tensor grown = scale(raw.value(), 40).value();
  raw.write() = grown;
  const double sigma = kernel_singular_values(layer.folded_kernel(), 6, 6).front();
  CHECK(sigma == doctest::Approx(1).epsilon(0.05));
  CHECK(layer.lipschitz_bound().value >= sigma);
}

TEST_CASE("rko: the factor 1/k is tight for a constant kernel") {
  const Tensor ones = filled({1, 5, 5, 1}, 1.0 / 5);
  CHECK(kernel_singular_values(ones, 7, 7).front() == doctest::Approx(5));
}

TEST_CASE("l2ne: at most 1, and exactly 1 for orthogonal rows and constant matrices") {
  Rng rng(6);
  const L2Nonexpansive map;
  for (const Shape& shape : {Shape{5, 5}, Shape{3, 9}, Shape{8, 2}, Shape{1, 4}}) {
    const Tensor w = random_normal(rng, shape, 1, DType::f64);
    const double sigma = singular_values(map.apply(w).value()).front();
    CHECK(sigma <= 1 + 1e-14);
    CHECK(sigma > 0.5);
    const Tensor orthogonal = random_orthogonal(rng, shape, 3).to(DType::f64);
    CHECK(singular_values(map.apply(orthogonal).value()).front() ==
          doctest::Approx(1).epsilon(0.2));
  }
  CHECK(singular_values(map.apply(filled({4, 6}, 2)).value()).front() == doctest::Approx(1));
  CHECK(max_abs(map.apply(filled({2, 3}, 0)).value()) == 0);
}

TEST_SUITE_END();
