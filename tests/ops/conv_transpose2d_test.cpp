#include <doctest/doctest.h>
#include <cmath>
#include <limits>
#include <support/needs_bf16.hpp>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/conv_transpose2d.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/conv_transpose2d");

namespace {

struct Case {
  Shape x, w;
  Conv2dOptions options;
  TransposedSize size = {};
};

// Every size of a stride, groups to depthwise, gaps between taps, borders of both kinds that are
// not symmetric, and every way through conv2d_choice: few channels, circular, blocks, none of
// these.
const Case cases[] = {
    {{2, 5, 4, 4}, {4, 3, 3, 3}, {.padding = 1}},
    {{2, 3, 3, 6}, {6, 2, 2, 4}, {.stride = 2}},
    {{2, 3, 3, 6}, {6, 2, 2, 4}, {.stride = 2}, {.extra = 1}},
    {{1, 2, 3, 4}, {4, 3, 2, 2}, {.stride = 2, .padding = 1, .groups = 2}, {.extra = 1}},
    {{2, 3, 4, 3}, {3, 3, 3, 1}, {.padding = 2, .groups = 3, .dilation = 2}},
    {{1, 1, 1, 3}, {3, 1, 1, 5}, {}},
    {{2, 1, 1, 4}, {4, 3, 3, 2}, {.padding = 1}},
    {{1, 3, 2, 2}, {2, 4, 1, 1}, {.stride = 3, .padding = 1}, {.height = 9, .width = 4}},
    {{1, 2, 2, 2}, {2, 2, 2, 2}, {.padding = 1, .dilation = 3}},
    {{2, 4, 3, 5}, {5, 3, 2, 8}, {.border = {1, 1, 1, 0}}},
    {{2, 2, 3, 4}, {4, 4, 4, 6}, {.stride = 2, .border = {2, 1, 2, 1}}, {.extra = 1}},
    {{1, 4, 3, 2},
     {2, 3, 3, 2},
     {.padding = 1, .border = {0, 2, 1, 0}, .border_mode = PadMode::zero}},
    {{1, 4, 4, 6}, {6, 3, 3, 5}, {.border = {2, 2, 2, 2}}},
    {{0, 2, 2, 6}, {6, 2, 2, 5}, {.stride = 2}},
};

std::int64_t channels(const Case& c) { return c.w[3] * c.options.groups; }

Var run(const Case& c, const Var& x, const Var& w, const Var& bias = {}) {
  return conv_transpose2d(x, w, bias, c.options, c.size);
}

struct Pass {
  Tensor y, grad_x, grad_w, grad_bias;
};

Pass run_all(const Case& c, const Tensor& x, const Tensor& w, const Tensor& bias) {
  Tape tape;
  const Var x_leaf = tape.leaf(x);
  const Var w_leaf = tape.leaf(w);
  const Var bias_leaf = tape.leaf(bias);
  const Var y = run(c, x_leaf, w_leaf, bias_leaf);
  tape.backward(y, y.value().clone());
  return {y.value(), x_leaf.grad(), w_leaf.grad(), bias_leaf.grad()};
}

}  // namespace

TEST_CASE("conv_transpose2d: puts a copy of the kernel for each pixel, and adds the bias") {
  const Tensor x = Tensor::of({1, 2, 3, 4}, {1, 2, 2, 1});
  const Tensor w = Tensor::of({1, 10, 100, 1000}, {1, 2, 2, 1});
  const Tensor bias = Tensor::of({0.5}, {1});
  for (const DType dtype : {DType::f32, DType::f64}) {
    const auto of = [&](const Conv2dOptions& options, const TransposedSize& size = {}) {
      return conv_transpose2d(x.to(dtype), w.to(dtype), bias.to(dtype), options, size).value();
    };
    const Tensor overlapping = Tensor::of(
        {1.5, 12.5, 20.5, 103.5, 1234.5, 2040.5, 300.5, 3400.5, 4000.5}, {1, 3, 3, 1}, dtype);
    CHECK(max_abs_diff(of({}), overlapping) == 0);
    CHECK(max_abs_diff(of({.padding = 1}), Tensor::of({1234.5}, {1, 1, 1, 1}, dtype)) == 0);
    // On the torus the last row and column fall on the first.
    const Tensor wrapped = Tensor::of({4321.5, 3412.5, 2143.5, 1234.5}, {1, 2, 2, 1}, dtype);
    CHECK(max_abs_diff(of({.border = {1, 0, 1, 0}}),
                       Tensor::of({1234.5, 2143.5, 3412.5, 4321.5}, {1, 2, 2, 1}, dtype)) == 0);
    CHECK(max_abs_diff(of({.border = {0, 1, 0, 1}}), wrapped) == 0);
    const Tensor apart = of({.stride = 2}, {.extra = 1});
    REQUIRE(apart.shape() == Shape{1, 5, 5, 1});
    CHECK(max_abs_diff(apart.rows(0, 1).reshaped({5, 5}).rows(0, 2),
                       Tensor::of({1.5, 10.5, 2.5, 20.5, 0.5, 100.5, 1000.5, 200.5, 2000.5, 0.5},
                                  {2, 5}, dtype)) == 0);
    CHECK(apart.at(24) == 0.5);
  }
}

TEST_CASE("conv_transpose2d: is the adjoint of conv2d, f32 and f64") {
  Rng rng(1);
  for (const Case& c : cases) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      const double tolerance = dtype == DType::f32 ? 1e-6 : 1e-14;
      CAPTURE(c.x);
      CAPTURE(c.w);
      const Tensor x = random_normal(rng, c.x, 1, dtype);
      const Tensor w = random_normal(rng, c.w, 1, dtype);
      const Tensor y = run(c, x, w).value();
      const Tensor z = random_normal(rng, y.shape(), 1, dtype);
      const Tensor convolved = conv2d(z, w, {}, c.options).value();
      REQUIRE(convolved.shape() == c.x);
      const double scale =
          frobenius_norm(y) * frobenius_norm(z) + frobenius_norm(x) * frobenius_norm(convolved);
      CHECK(std::abs(dot(y, z) - dot(x, convolved)) <= tolerance * scale);
    }
  }
}

TEST_CASE("conv_transpose2d: f32 is f64 rounded, forward and backward") {
  Rng rng(2);
  for (const Case& c : cases) {
    CAPTURE(c.x);
    CAPTURE(c.w);
    const Tensor x = random_normal(rng, c.x);
    const Tensor w = random_normal(rng, c.w);
    const Tensor bias = random_normal(rng, {channels(c)});
    const Pass single = run_all(c, x, w, bias);
    const Pass wide = run_all(c, x.to(DType::f64), w.to(DType::f64), bias.to(DType::f64));
    const auto differ = [](const Tensor& a, const Tensor& b) {
      return max_abs_diff(a.to(DType::f64), b) / (1 + max_abs(b));
    };
    CHECK(differ(single.y, wide.y) < 2e-6);
    CHECK(differ(single.grad_x, wide.grad_x) < 2e-6);
    CHECK(differ(single.grad_w, wide.grad_w) < 2e-6);
    CHECK(differ(single.grad_bias, wide.grad_bias) < 2e-6);
  }
}

TEST_CASE("conv_transpose2d: vjp and jvp match finite differences") {
  Rng rng(3);
  for (const Case& c : cases) {
    if (c.x[0] == 0) continue;
    CAPTURE(c.x);
    CAPTURE(c.w);
    const Tensor x = random_normal(rng, c.x, 1, DType::f64);
    const Tensor w = random_normal(rng, c.w, 1, DType::f64);
    const Tensor bias = random_normal(rng, {channels(c)}, 1, DType::f64);
    const auto with_bias = [&](const Vars& in) { return run(c, in[0], in[1], in[2]); };
    CHECK(gradcheck("conv_transpose2d", with_bias, {x, w, bias}));
    const auto without = [&](const Vars& in) { return run(c, in[0], in[1]); };
    CHECK(gradcheck("conv_transpose2d", without, {x, w}));
    const auto of_bias = [&](const Vars& in) { return run(c, x, w, in[0]); };
    CHECK(gradcheck("conv_transpose2d", of_bias, {bias}));
  }
}

TEST_CASE("conv_transpose2d: vjp is the adjoint in x, in w and in the bias, f32 and f64") {
  Rng rng(4);
  for (const Case& c : cases) {
    if (c.x[0] == 0) continue;
    for (const DType dtype : {DType::f32, DType::f64}) {
      const double tolerance = dtype == DType::f32 ? 1e-6 : 1e-14;
      CAPTURE(c.x);
      CAPTURE(c.w);
      const Tensor x = random_normal(rng, c.x, 1, dtype);
      const Tensor w = random_normal(rng, c.w, 1, dtype);
      const auto of_x = [&](const Var& in) { return run(c, in, w); };
      const auto of_w = [&](const Var& in) { return run(c, x, in); };
      const auto of_bias = [&](const Var& in) { return run(c, x, Tensor::zeros(c.w, dtype), in); };
      CHECK(adjoint_test("conv_transpose2d", of_x, c.x, dtype, tolerance));
      CHECK(adjoint_test("conv_transpose2d", of_w, c.w, dtype, tolerance));
      CHECK(adjoint_test("conv_transpose2d", of_bias, {channels(c)}, dtype, tolerance));
    }
  }
}

TEST_CASE("conv_transpose2d: a steady state creates no primitive, reorders no more than conv2d") {
  Rng rng(5);
  for (const Case& c : {Case{{4, 8, 8, 32}, {32, 3, 3, 32}, {.padding = 1}},
                        Case{{4, 8, 8, 32}, {32, 3, 3, 32}, {.border = {1, 1, 1, 1}}},
                        Case{{4, 4, 4, 32}, {32, 4, 4, 32}, {.stride = 2, .border = {1, 1, 1, 1}}},
                        Case{{4, 4, 4, 32}, {32, 3, 3, 16}, {.stride = 2, .groups = 2}}}) {
    CAPTURE(c.w);
    const Tensor x = random_normal(rng, c.x);
    const Tensor w = random_normal(rng, c.w);
    const Tensor bias = random_normal(rng, {channels(c)});
    const Pass first = run_all(c, x, w, bias);
    // What conv2d itself creates and reorders with these weights, each pass once.
    const auto of_conv2d = [&] {
      Tape tape;
      const Var z_leaf = tape.leaf(first.y);
      const Var w_leaf = tape.leaf(w);
      const Var y = conv2d(z_leaf, w_leaf, {}, c.options);
      tape.backward(y, x.clone());
    };
    of_conv2d();
    const Conv2dCounters before = conv2d_counters();
    of_conv2d();
    const std::int64_t reorders = conv2d_counters().reorders - before.reorders;
    run_all(c, x, w, bias);
    const std::int64_t allocations = memory_stats().system_allocations;
    const Conv2dCounters start = conv2d_counters();
    for (int step = 0; step < 5; ++step) run_all(c, x, w, bias);
    const Conv2dCounters end = conv2d_counters();
    CHECK(end.primitives_created == before.primitives_created);
    CHECK(end.reorders - start.reorders <= 5 * reorders);
    CHECK(memory_stats().system_allocations == allocations);
  }
}

TEST_CASE("conv_transpose2d: what nobody needs is neither computed nor kept") {
  Rng rng(7);
  Tensor x = random_normal(rng, {2, 4, 4, 16});
  Tensor w = random_normal(rng, {16, 3, 3, 16});
  Tape tape;
  const Var x_leaf = tape.leaf(x);
  const Var y = conv_transpose2d(x_leaf, w);
  x.write<float>()[0] = 0;
  CHECK_NOTHROW(tape.backward(y, y.value().clone(), {.retain = true}));
  w.write<float>()[0] = 0;
  CHECK_THROWS_AS(tape.backward(y, y.value().clone()), Error);
  const Var w_leaf = tape.leaf(w);
  const Var z = conv_transpose2d(x, w_leaf);
  w.write<float>()[0] = 1;
  CHECK_NOTHROW(tape.backward(z, z.value().clone(), {.retain = true}));
  x.write<float>()[0] = 1;
  CHECK_THROWS_AS(tape.backward(z, z.value().clone()), Error);
}

TEST_CASE("conv_transpose2d: NaN and infinities reach the pixels they are put on, and no other") {
  Rng rng(8);
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const float special :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      Tensor x = random_normal(rng, {1, 5, 5, 16});
      x.write<float>()[(2 * 5 + 4) * 16 + 3] = special;  // row 2, column 4
      const Tensor w = random_normal(rng, {16, 3, 3, 16}, 1, dtype);
      const Tensor y = conv_transpose2d(x.to(dtype), w, {}, {.padding = 1}).value();
      for (std::int64_t at = 0; at < y.size(); ++at) {
        const std::int64_t i = at / 16 / 5;
        const std::int64_t j = at / 16 % 5;
        REQUIRE(std::isfinite(y.at(at)) == (i < 1 || i > 3 || j < 3));
      }
    }
  }
}

TEST_CASE("conv_transpose2d: one thread gives what several give") {
  Rng rng(9);
  const int threads = num_threads();
  const Case c{{16, 6, 6, 32}, {32, 4, 4, 16}, {.stride = 2, .border = {1, 1, 1, 1}}};
  for (const DType dtype : {DType::f32, DType::f64}) {
    const double tolerance = dtype == DType::f32 ? 1e-5 : 1e-13;
    const Tensor x = random_normal(rng, c.x, 1, dtype);
    const Tensor w = random_normal(rng, c.w, 1, dtype);
    const Tensor bias = random_normal(rng, {16}, 1, dtype);
    set_num_threads(3);
    const Pass three = run_all(c, x, w, bias);
    set_num_threads(1);
    const Pass one = run_all(c, x, w, bias);
    set_num_threads(threads);
    CHECK(max_abs_diff(one.y, three.y) <= tolerance * max_abs(one.y));
    CHECK(max_abs_diff(one.grad_x, three.grad_x) <= tolerance * max_abs(one.grad_x));
    CHECK(max_abs_diff(one.grad_w, three.grad_w) <= tolerance * max_abs(one.grad_w));
    CHECK(max_abs_diff(one.grad_bias, three.grad_bias) <= tolerance * max_abs(one.grad_bias));
  }
}

TEST_CASE("conv_transpose2d: in bf16 it computes with rounded operands, f32 sums") {
  if (lacks_bf16()) return;
  Rng rng(10);
  for (const Case& c : {cases[0], cases[1], cases[9], cases[10]}) {
    CAPTURE(c.w);
    Case rounded = c;
    rounded.options.precision = Precision::bf16;
    // Operands that bf16 holds exactly: then only the sums differ.
    const Tensor x = random_normal(rng, c.x).to(DType::bf16).to(DType::f32);
    const Tensor w = random_normal(rng, c.w).to(DType::bf16).to(DType::f32);
    const Tensor bias = random_normal(rng, {channels(c)});
    const Tensor y = run(rounded, x, w, bias).value();
    CHECK(max_abs_diff(y, run(c, x, w, bias).value()) < 1e-5);
    const Pass pass = run_all(rounded, x, w, bias);
    const Pass full = run_all(c, x, w, bias);
    CHECK(max_abs_diff(pass.grad_x, full.grad_x) < 0.02 * max_abs(full.grad_x));
    CHECK(max_abs_diff(pass.grad_w, full.grad_w) < 0.02 * max_abs(full.grad_w));
    CHECK(max_abs_diff(pass.grad_x, full.grad_x) > 0);
  }
}

TEST_CASE("conv_transpose2d: rejects shapes and types that do not fit") {
  const Tensor x({2, 5, 5, 4});
  const Tensor w({4, 3, 3, 6});
  CHECK_THROWS_WITH_AS(conv_transpose2d(Tensor({5, 5, 4}), w),
                       "conv_transpose2d: expected x of shape [N, H, W, C], got [5, 5, 4]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(conv_transpose2d(x, Tensor({6, 3, 3, 4})),
                       "conv_transpose2d: expected w of shape [C, kh, kw, F/groups] with C = 4, "
                       "got [6, 3, 3, 4]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(conv_transpose2d(x, w, {}, {.groups = 3}),
                       "conv_transpose2d: expected groups to divide the channels of x "
                       "[2, 5, 5, 4], got 3",
                       ShapeError);
  CHECK_THROWS_WITH_AS(conv_transpose2d(x, w, Tensor({6}), {.groups = 2}),
                       "conv_transpose2d: expected bias of shape [12], got [6]", ShapeError);
  CHECK_THROWS_WITH_AS(conv_transpose2d(x, w.to(DType::f64)),
                       "conv_transpose2d: expected w and bias of x's type f32, got w f64",
                       ShapeError);
  CHECK_THROWS_WITH_AS(conv_transpose2d(x.to(DType::u8), w.to(DType::u8)),
                       "conv_transpose2d: expected f32 or f64, got u8", ShapeError);
  CHECK_THROWS_WITH_AS(conv_transpose2d(x, Tensor({4, 1, 1, 6}), {}, {.padding = 3}),
                       "conv_transpose2d: expected an output of at least one pixel, got -1 x -1 "
                       "from x [2, 5, 5, 4] and w [4, 1, 1, 6]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(
      conv_transpose2d(x, w, {}, {.stride = 2}, {.height = 13, .width = 12}),
      "conv_transpose2d: expected an output whose convolution has the size of x [2, 5, 5, 4], "
      "11..12 x 11..12, got 13 x 12",
      ShapeError);
}

TEST_CASE("conv_transpose2d: rejects options out of range") {
  const Tensor x({2, 5, 5, 4});
  const Tensor w({4, 3, 3, 6});
  CHECK_THROWS_WITH_AS(conv_transpose2d(x, w, {}, {.dilation = 0}),
                       "conv_transpose2d: expected dilation >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(conv_transpose2d(x, w, {}, {.stride = 2}, {.extra = 2}),
                       "conv_transpose2d: expected extra in 0..1, less than the stride, got 2",
                       ValueError);
  CHECK_THROWS_WITH_AS(
      conv_transpose2d(x, w, {}, {.stride = 2}, {.extra = 1, .height = 11, .width = 11}),
      "conv_transpose2d: expected extra pixels or the size itself, got extra 1 and 11 x 11",
      ValueError);
  CHECK_THROWS_WITH_AS(conv_transpose2d(x, w, {}, {.border = {1, 5, 0, 0}}),
                       "conv_transpose2d: expected a circular border within the image "
                       "[2, 1, 7, 6], got top 1, bottom 5, left 0, right 0",
                       ValueError);
}

TEST_SUITE_END();
