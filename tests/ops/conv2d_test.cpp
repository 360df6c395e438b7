#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/pad.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/conv2d");

namespace {

struct Case {
  Shape x, w;
  Conv2dOptions options;
};

// Even and odd kernels, one-pixel images, a kernel larger than the image, groups to depthwise.
const Case cases[] = {
    {{2, 5, 4, 3}, {4, 3, 3, 3}, {.padding = 1}},
    {{2, 5, 6, 4}, {6, 2, 2, 4}, {.stride = 2}},
    {{1, 4, 4, 4}, {4, 3, 2, 2}, {.stride = 2, .padding = 1, .groups = 2}},
    {{2, 5, 5, 3}, {3, 3, 3, 1}, {.padding = 2, .groups = 3, .dilation = 2}},
    {{1, 1, 1, 5}, {3, 1, 1, 5}, {}},
    {{2, 1, 1, 2}, {4, 3, 3, 2}, {.padding = 1}},
    {{3, 3, 2, 4}, {2, 1, 1, 2}, {.groups = 2}},
    {{1, 7, 3, 1}, {2, 4, 1, 1}, {.stride = 3, .padding = 1}},
    {{1, 3, 3, 2}, {2, 2, 2, 2}, {.padding = 3, .dilation = 3}},
    {{2, 4, 3, 2}, {3, 3, 2, 2}, {.border = {1, 1, 1, 0}}},
    {{2, 4, 6, 3}, {4, 4, 4, 3}, {.stride = 2, .border = {2, 1, 2, 1}}},
    {{1, 3, 4, 2},
     {2, 3, 3, 2},
     {.padding = 1, .border = {0, 2, 1, 0}, .border_mode = PadMode::zero}},
    {{1, 2, 2, 5}, {6, 3, 3, 5}, {.border = {2, 2, 2, 2}}},
};

std::int64_t filters(const Case& c) { return c.w[0]; }

struct Pass {
  Tensor y, grad_x, grad_w, grad_bias;
};

Pass run(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& dy,
         const Conv2dOptions& options) {
  Tape tape;
  const Var x_leaf = tape.leaf(x);
  const Var w_leaf = tape.leaf(w);
  const Var bias_leaf = tape.leaf(bias);
  const Var y = conv2d(x_leaf, w_leaf, bias_leaf, options);
  tape.backward(y, dy ? dy.clone() : y.value().clone());
  return {y.value(), x_leaf.grad(), w_leaf.grad(), bias_leaf.grad()};
}

Tensor image(const Tensor& x, std::int64_t n) { return x.rows(n, n + 1).clone(); }

}  // namespace

TEST_CASE("conv2d: is correlation, not flipped, and adds the bias") {
  const Tensor x = Tensor::of({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 3, 3, 1});
  const Tensor w = Tensor::of({1, 10, 100, 1000}, {1, 2, 2, 1});
  const Tensor bias = Tensor::of({0.5}, {1});
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor y = conv2d(x.to(dtype), w.to(dtype), bias.to(dtype)).value();
    CHECK(max_abs_diff(y, Tensor::of({5421.5, 6532.5, 8754.5, 9865.5}, {1, 2, 2, 1}, dtype)) == 0);
  }
}

TEST_CASE("conv2d: vjp and jvp match finite differences") {
  Rng rng(1);
  for (const Case& c : cases) {
    CAPTURE(c.x);
    CAPTURE(c.w);
    const Tensor x = random_normal(rng, c.x, 1, DType::f64);
    const Tensor w = random_normal(rng, c.w, 1, DType::f64);
    const Tensor bias = random_normal(rng, {filters(c)}, 1, DType::f64);
    const auto with_bias = [&](const Vars& in) { return conv2d(in[0], in[1], in[2], c.options); };
    CHECK(gradcheck("conv2d", with_bias, {x, w, bias}));
    const auto without = [&](const Vars& in) { return conv2d(in[0], in[1], {}, c.options); };
    CHECK(gradcheck("conv2d", without, {x, w}));
  }
}

TEST_CASE("conv2d: vjp is the adjoint in x, in w and in the bias, f32 and f64") {
  Rng rng(2);
  for (const Case& c : cases) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      const double tolerance = dtype == DType::f32 ? 1e-6 : 1e-14;
      CAPTURE(c.x);
      CAPTURE(c.w);
      const Tensor x = random_normal(rng, c.x, 1, dtype);
      const Tensor w = random_normal(rng, c.w, 1, dtype);
      const auto of_x = [&](const Var& in) { return conv2d(in, w, {}, c.options); };
      const auto of_w = [&](const Var& in) { return conv2d(x, in, {}, c.options); };
      const auto of_bias = [&](const Var& in) {
        return conv2d(x, Tensor::zeros(c.w, dtype), in, c.options);
      };
      CHECK(adjoint_test("conv2d", of_x, c.x, dtype, tolerance));
      CHECK(adjoint_test("conv2d", of_w, c.w, dtype, tolerance));
      CHECK(adjoint_test("conv2d", of_bias, {filters(c)}, dtype, tolerance));
    }
  }
}

TEST_CASE("conv2d: a batch equals its images one by one") {
  Rng rng(3);
  for (const Case& c : {Case{{7, 6, 6, 12}, {16, 2, 2, 12}, {}},
                        Case{{5, 8, 8, 16}, {32, 3, 3, 8}, {.padding = 1, .groups = 2}},
                        Case{{33, 4, 4, 3}, {8, 3, 3, 3}, {.stride = 2, .padding = 1}}}) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      const double tolerance = dtype == DType::f32 ? 1e-6 : 1e-13;
      const Tensor x = random_normal(rng, c.x, 1, dtype);
      const Tensor w = random_normal(rng, c.w, 0.1, dtype);
      const Tensor bias = random_normal(rng, {filters(c)}, 1, dtype);
      const Pass whole = run(x, w, bias, {}, c.options);
      Tensor grad_w = Tensor::zeros(c.w, dtype);
      for (std::int64_t n = 0; n < c.x[0]; ++n) {
        const Pass one = run(image(x, n), w, bias, image(whole.y, n), c.options);
        REQUIRE(max_abs_diff(one.y, image(whole.y, n)) <= tolerance * (1 + max_abs(one.y)));
        REQUIRE(max_abs_diff(one.grad_x, image(whole.grad_x, n)) <=
                tolerance * (1 + max_abs(one.grad_x)));
        add_in_place(grad_w, one.grad_w);
      }
      CHECK(max_abs_diff(grad_w, whole.grad_w) <= 10 * tolerance * max_abs(grad_w));
    }
  }
}

TEST_CASE("conv2d: a border is what pad() puts in front of it") {
  Rng rng(8);
  for (const PadMode mode : {PadMode::circular, PadMode::zero}) {
    for (const int stride : {1, 2}) {
      for (const DType dtype : {DType::f32, DType::f64}) {
        const double tolerance = dtype == DType::f32 ? 1e-5 : 1e-13;
        const Tensor x = random_normal(rng, {3, 6, 8, 16}, 1, dtype);
        const Tensor w = random_normal(rng, {32, 4, 4, 16}, 1, dtype);
        const Padding border{2, 1, 2, 1};
        const Pass inside = run(x, w, Tensor::zeros({32}, dtype), {},
                                {.stride = stride, .border = border, .border_mode = mode});
        Tape tape;
        const Var x_leaf = tape.leaf(x);
        const Var w_leaf = tape.leaf(w);
        const Var y = conv2d(pad(x_leaf, border, mode), w_leaf, {}, {.stride = stride});
        tape.backward(y, y.value().clone());
        CHECK(max_abs_diff(inside.y, y.value()) <= tolerance * max_abs(y.value()));
        CHECK(max_abs_diff(inside.grad_x, x_leaf.grad()) <= tolerance * max_abs(x_leaf.grad()));
        CHECK(max_abs_diff(inside.grad_w, w_leaf.grad()) <= tolerance * max_abs(w_leaf.grad()));
      }
    }
  }
}

TEST_CASE("conv2d: what nobody needs is neither computed nor kept") {
  Rng rng(4);
  const Tensor w = random_normal(rng, {16, 3, 3, 16});
  Tensor x = random_normal(rng, {2, 8, 8, 16});
  Tape tape;
  const Var w_leaf = tape.leaf(w);
  const Var y = conv2d(x, w_leaf, {}, {.padding = 1});
  const std::int64_t before = conv2d_counters().primitives_created;
  tape.backward(y, y.value().clone(), {.retain = true});
  CHECK(conv2d_counters().primitives_created - before <= 2);  // of grad_w: itself and its reorder
  CHECK(tape.jvp({&y, 1}, {&w_leaf, 1}, {w})[0]);

  // An attack: only the image has a gradient, so overwriting it does no harm, but the weights do.
  Tensor weights = w.clone();
  const Var x_leaf = tape.leaf(x);
  const Var score = conv2d(x_leaf, weights, {}, {.padding = 1});
  x.write<float>()[0] = 0;
  CHECK_NOTHROW(tape.backward(score, score.value().clone(), {.retain = true}));
  weights.write<float>()[0] = 0;
  CHECK_THROWS_AS(tape.backward(score, score.value().clone()), Error);
}

TEST_CASE("conv2d: a steady state creates no primitive and reorders weights once per pass") {
  Rng rng(5);
  const Tensor x = random_normal(rng, {4, 8, 8, 32});
  const Tensor w = random_normal(rng, {32, 3, 3, 32});
  const Tensor bias = random_normal(rng, {32});
  run(x, w, bias, {}, {.padding = 1});
  const Conv2dCounters before = conv2d_counters();
  const std::int64_t allocations = memory_stats().system_allocations;
  for (int step = 0; step < 5; ++step) run(x, w, bias, {}, {.padding = 1});
  CHECK(conv2d_counters().primitives_created == before.primitives_created);
  CHECK(conv2d_counters().reorders - before.reorders <= 3 * 5);
  CHECK(memory_stats().system_allocations == allocations);
}

TEST_CASE("conv2d: inference reorders weights once per version, training once per call") {
  Rng rng(9);
  const Tensor x = random_normal(rng, {4, 8, 8, 16});
  Tensor w = random_normal(rng, {16, 3, 3, 16});
  const auto reorders = [&] {
    const std::int64_t before = conv2d_counters().reorders;
    const Tensor y = conv2d(x, w).value();
    const std::int64_t count = conv2d_counters().reorders - before;
    const Tensor exact = conv2d(x.to(DType::f64), w.to(DType::f64)).value();
    CHECK(max_abs_diff(y.to(DType::f64), exact) < 1e-5 * max_abs(exact));
    return count;
  };
  CHECK(reorders() == 1);
  CHECK(reorders() == 0);
  w.write<float>()[5] = 3;
  CHECK(reorders() == 1);
  CHECK(reorders() == 0);
  w = w.clone();  // equal values, but another tensor
  CHECK(reorders() == 1);
  const Tape tape;
  CHECK(reorders() == 1);
  CHECK(reorders() == 1);
}

TEST_CASE("conv2d: NaN and infinities reach every output whose window they are in, and no other") {
  Rng rng(6);
  constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();
  constexpr float inf_value = std::numeric_limits<float>::infinity();
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const float special : {nan_value, inf_value}) {
      Tensor x = random_normal(rng, {1, 5, 5, 16});
      x.write<float>()[(2 * 5 + 4) * 16 + 3] = special;  // row 2, column 4
      const Tensor w = random_normal(rng, {16, 3, 3, 16}, 1, dtype);
      const Tensor y = conv2d(x.to(dtype), w, {}, {.padding = 1}).value();
      for (std::int64_t at = 0; at < y.size(); ++at) {
        const std::int64_t i = at / 16 / 5;
        const std::int64_t j = at / 16 % 5;
        REQUIRE(std::isfinite(y.at(at)) == (i < 1 || i > 3 || j < 3));
      }
    }
  }
}

TEST_CASE("conv2d: one thread gives what several give, also inside a parallel loop") {
  Rng rng(7);
  const int threads = num_threads();
  for (const DType dtype : {DType::f32, DType::f64}) {
    const double tolerance = dtype == DType::f32 ? 1e-5 : 1e-13;
    const Tensor x = random_normal(rng, {16, 12, 12, 16}, 1, dtype);
    const Tensor w = random_normal(rng, {32, 3, 3, 16}, 1, dtype);
    const Tensor bias = random_normal(rng, {32}, 1, dtype);
    const Tensor dy = random_normal(rng, {16, 12, 12, 32}, 1, dtype);
    // Three first: a primitive made for three threads must not run in a region that has one each.
    set_num_threads(3);
    const Pass three = run(x, w, bias, dy, {.padding = 1});
    std::vector<Pass> nested(4);
    parallel_jobs(4, [&](std::int64_t i) { nested[i] = run(x, w, bias, dy, {.padding = 1}); });
    set_num_threads(1);
    const Pass one = run(x, w, bias, dy, {.padding = 1});
    set_num_threads(threads);
    nested.push_back(three);
    for (const Pass& other : nested) {
      CHECK(max_abs_diff(one.y, other.y) <= tolerance * max_abs(one.y));
      CHECK(max_abs_diff(one.grad_x, other.grad_x) <= tolerance * max_abs(one.grad_x));
      CHECK(max_abs_diff(one.grad_w, other.grad_w) <= tolerance * max_abs(one.grad_w));
      CHECK(max_abs_diff(one.grad_bias, other.grad_bias) == 0);
    }
  }
}

TEST_CASE("conv2d: an empty batch has an empty result and no gradient in w") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Pass pass = run(Tensor({0, 4, 4, 2}, dtype), Tensor::full({3, 2, 2, 2}, 1, dtype),
                          Tensor::full({3}, 1, dtype), {}, {});
    CHECK(pass.y.shape() == Shape{0, 3, 3, 3});
    CHECK(pass.grad_x.shape() == Shape{0, 4, 4, 2});
    CHECK(max_abs(pass.grad_w) == 0);
    CHECK(max_abs(pass.grad_bias) == 0);
  }
}

TEST_CASE("conv2d: rejects shapes and types that do not fit") {
  const Tensor x({2, 5, 5, 4});
  const Tensor w({6, 3, 3, 4});
  CHECK_THROWS_WITH_AS(conv2d(Tensor({5, 5, 4}), w),
                       "conv2d: expected x of shape [N, H, W, C], got [5, 5, 4]", ShapeError);
  CHECK_THROWS_WITH_AS(conv2d(x, Tensor({6, 3, 3, 2})),
                       "conv2d: expected w of shape [O, kh, kw, C/groups] with C = 4 and groups = "
                       "1, got [6, 3, 3, 2]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(conv2d(x, Tensor({7, 3, 3, 2}), {}, {.groups = 2}),
                       "conv2d: expected groups to divide the filters of w [7, 3, 3, 2], got 2",
                       ShapeError);
  CHECK_THROWS_WITH_AS(conv2d(x, w, Tensor({4})), "conv2d: expected bias of shape [6], got [4]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(conv2d(x, w, {}, {.dilation = 3}),
                       "conv2d: expected a kernel within the padded image, got w [6, 3, 3, 4] on x "
                       "[2, 5, 5, 4] with padding 0 and dilation 3",
                       ShapeError);
  CHECK_THROWS_WITH_AS(conv2d(x, w.to(DType::f64)),
                       "conv2d: expected w and bias of x's type f32, got w f64", ShapeError);
  CHECK_THROWS_WITH_AS(conv2d(x, w, Tensor({6}, DType::f64)),
                       "conv2d: expected w and bias of x's type f32, got w f32 and bias f64",
                       ShapeError);
  CHECK_THROWS_WITH_AS(conv2d(x.to(DType::u8), w.to(DType::u8)),
                       "conv2d: expected f32 or f64, got u8", ShapeError);
}

TEST_CASE("conv2d: rejects options out of range") {
  const Tensor x({2, 5, 5, 4});
  const Tensor w({6, 3, 3, 4});
  CHECK_THROWS_WITH_AS(conv2d(x, w, {}, {.stride = 0}), "conv2d: expected stride >= 1, got 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(conv2d(x, w, {}, {.padding = -1}), "conv2d: expected padding >= 0, got -1",
                       ValueError);
  CHECK_THROWS_WITH_AS(conv2d(x, w, {}, {.groups = 0}), "conv2d: expected groups >= 1, got 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(conv2d(x, w, {}, {.dilation = 0}), "conv2d: expected dilation >= 1, got 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(conv2d(x, w, {}, {.border = {0, 0, -1, 0}}),
                       "conv2d: expected border >= 0, got -1", ValueError);
  CHECK_THROWS_WITH_AS(conv2d(x, w, {}, {.border = {1, 2, 6, 0}}),
                       "conv2d: expected a circular border within the image [2, 5, 5, 4], got top "
                       "1, bottom 2, left 6, right 0",
                       ValueError);
  CHECK_NOTHROW(conv2d(x, w, {}, {.border = {1, 2, 6, 0}, .border_mode = PadMode::zero}));
}

TEST_SUITE_END();
