#include <doctest/doctest.h>
#include <cmath>
#include <support/needs_bf16.hpp>

#include <isotape/core/flop_count.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/conv2d.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/conv2d_bf16");

namespace {

struct Case {
  Shape x, w;
  Conv2dOptions options;
};

// Each way through conv2d_choice: circular, blocks, few channels, many filters, plain, padded.
const Case cases[] = {
    {{3, 8, 8, 3}, {32, 3, 3, 3}, {.border = {1, 1, 1, 1}}},
    {{2, 8, 8, 128}, {32, 2, 2, 128}, {.border = {1, 0, 1, 0}}},
    {{2, 6, 5, 32}, {64, 3, 3, 32}, {.border = {1, 1, 1, 1}}},
    {{2, 8, 6, 16}, {32, 4, 4, 16}, {.stride = 2, .border = {2, 1, 2, 1}}},
    {{2, 9, 7, 16}, {16, 3, 3, 16}, {.stride = 2, .padding = 1}},
    {{2, 6, 6, 24}, {20, 3, 3, 24}, {.border = {1, 1, 1, 1}, .border_mode = PadMode::zero}},
    {{5, 4, 4, 16}, {40, 1, 1, 16}, {}},
    {{1, 3, 3, 1}, {1, 2, 2, 1}, {}},
};

struct Passes {
  Tensor y, dx, dw, dbias;
};

Passes run(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& dy,
           Conv2dOptions options, Precision precision) {
  options.precision = precision;
  Tape tape;
  const Var x_leaf = tape.leaf(x);
  const Var w_leaf = tape.leaf(w);
  const Var bias_leaf = tape.leaf(bias);
  const Var y = conv2d(x_leaf, w_leaf, bias_leaf, options);
  tape.backward(y, dy);
  return {y.value(), x_leaf.grad(), w_leaf.grad(), bias_leaf.grad()};
}

Tensor magnitudes(const Tensor& x) {
  Tensor y = x.to(DType::f64).clone();
  auto* values = y.write<double>();
  for (std::int64_t i = 0; i < y.size(); ++i) values[i] = std::abs(values[i]);
  return y;
}

Tensor rounded(const Tensor& x) { return x.to(DType::bf16).to(DType::f64); }

// |a - exact| <= factor * scale, elementwise.
bool within(const Tensor& a, const Tensor& exact, double factor, const Tensor& scale) {
  REQUIRE(a.shape() == exact.shape());
  REQUIRE(a.dtype() == DType::f32);
  for (std::int64_t i = 0; i < a.size(); ++i) {
    if (std::abs(a.at(i) - exact.at(i)) > factor * scale.at(i)) return false;
  }
  return true;
}

struct Operands {
  Tensor x, w, bias, dy;
};

Operands operands(const Case& c) {
  Rng rng(5);
  const Tensor x = random_normal(rng, c.x);
  const Tensor w = random_normal(rng, c.w);
  const Tensor bias = random_normal(rng, {c.w[0]});
  return {x, w, bias, random_normal(rng, conv2d(x, w, bias, c.options).shape())};
}

}  // namespace

// bf16 products are exact in f32, so only the sums round: at most 2^-24 of the sum of magnitudes
// per term. Terms per output: at most 1152 here.
TEST_CASE("conv2d in bf16: each pass is the f64 one on rounded operands, but for sums in f32") {
  if (lacks_bf16()) return;
  for (const Case& c : cases) {
    CAPTURE(c.x);
    CAPTURE(c.w);
    const Operands o = operands(c);
    const Passes bf16 = run(o.x, o.w, o.bias, o.dy, c.options, Precision::bf16);
    const Passes exact = run(rounded(o.x), rounded(o.w), o.bias.to(DType::f64), rounded(o.dy),
                             c.options, Precision::full);
    const Passes scale = run(magnitudes(o.x), magnitudes(o.w), magnitudes(o.bias), magnitudes(o.dy),
                             c.options, Precision::full);
    constexpr double sums = 1152 * 0x1p-24;
    CHECK(within(bf16.y, exact.y, sums, scale.y));
    CHECK(within(bf16.dx, exact.dx, sums, scale.dx));
    CHECK(within(bf16.dw, exact.dw, sums, scale.dw));
  }
}

// (1 + u)^2 - 1 with u = 2^-8 per product.
TEST_CASE("conv2d in bf16: value and gradients are those of f32 within the rounding bound") {
  if (lacks_bf16()) return;
  for (const Case& c : cases) {
    CAPTURE(c.x);
    CAPTURE(c.w);
    const Operands o = operands(c);
    const Passes bf16 = run(o.x, o.w, o.bias, o.dy, c.options, Precision::bf16);
    const Passes f32 = run(o.x, o.w, o.bias, o.dy, c.options, Precision::full);
    const Passes scale = run(magnitudes(o.x), magnitudes(o.w), magnitudes(o.bias), magnitudes(o.dy),
                             c.options, Precision::full);
    constexpr double bound = 2 * 0x1p-8 + 0x1p-16 + 1e-4;
    CHECK(within(bf16.y, f32.y, bound, scale.y));
    CHECK(within(bf16.dx, f32.dx, bound, scale.dx));
    CHECK(within(bf16.dw, f32.dw, bound, scale.dw));
    CHECK(max_abs_diff(bf16.dbias, f32.dbias) == 0);
    CHECK(max_abs_diff(bf16.y, f32.y) > 0);
  }
}

TEST_CASE("conv2d in bf16: the same bits each time") {
  if (lacks_bf16()) return;
  for (const Case& c : cases) {
    const Operands o = operands(c);
    const Passes a = run(o.x, o.w, o.bias, o.dy, c.options, Precision::bf16);
    const Passes b = run(o.x, o.w, o.bias, o.dy, c.options, Precision::bf16);
    CHECK(max_abs_diff(a.y, b.y) == 0);
    CHECK(max_abs_diff(a.dx, b.dx) == 0);
    CHECK(max_abs_diff(a.dw, b.dw) == 0);
  }
}

TEST_CASE("conv2d in bf16: jvp is the forward map of the rounded tangent") {
  if (lacks_bf16()) return;
  const Case& c = cases[2];
  const Operands o = operands(c);
  Conv2dOptions options = c.options;
  options.precision = Precision::bf16;
  Rng rng(6);
  const Tensor tangent = random_normal(rng, c.x);
  Tape tape;
  const Var x = tape.leaf(o.x);
  const Var y = conv2d(x, o.w, {}, options);
  const Tensors dy = tape.jvp(std::vector<Var>{y}, std::vector<Var>{x}, {tangent});
  CHECK(max_abs_diff(dy[0], conv2d(tangent, o.w, {}, options).value()) == 0);
}

TEST_CASE("conv2d in bf16: what is grouped, dilated, a strided point, empty or f64 stays full") {
  if (lacks_bf16()) return;
  const Case others[] = {
      {{2, 5, 5, 4}, {6, 3, 3, 2}, {.padding = 1, .groups = 2}},
      {{2, 5, 5, 4}, {6, 2, 2, 4}, {.dilation = 2}},
      {{2, 4, 4, 8}, {6, 1, 1, 8}, {.stride = 2}},
      {{0, 4, 4, 8}, {6, 2, 2, 8}, {}},
  };
  const auto unrounded = [](const Case& c, DType dtype) {
    Operands o = operands(c);
    for (Tensor* t : {&o.x, &o.w, &o.bias, &o.dy}) *t = t->to(dtype);
    const double before = flop_count().bf16;
    const Passes a = run(o.x, o.w, o.bias, o.dy, c.options, Precision::bf16);
    CHECK(flop_count().bf16 == before);
    const Passes b = run(o.x, o.w, o.bias, o.dy, c.options, Precision::full);
    CHECK(max_abs_diff(a.y, b.y) == 0);
    CHECK(max_abs_diff(a.dx, b.dx) == 0);
    CHECK(max_abs_diff(a.dw, b.dw) == 0);
  };
  for (const Case& c : others) {
    CAPTURE(c.x);
    CAPTURE(c.w);
    unrounded(c, DType::f32);
  }
  unrounded(cases[2], DType::f64);
}

TEST_CASE("conv2d in bf16: counts its flops as such") {
  if (lacks_bf16()) return;
  const FlopCount before = flop_count();
  conv2d(Tensor::zeros({2, 4, 4, 8}), Tensor::zeros({16, 3, 3, 8}), {},
         {.precision = Precision::bf16});
  const FlopCount count = flop_count() - before;
  CHECK(count.bf16 == 2.0 * (2 * 2 * 2 * 16) * (3 * 3 * 8));
  CHECK(count.convolution == 0);
  CHECK(count.total() == count.bf16);
}

TEST_SUITE_END();
