#include <doctest/doctest.h>
#include <cmath>
#include <support/needs_bf16.hpp>

#include <isotape/core/flop_count.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/matmul.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/product_bf16");

namespace {

// In f64: op(a) op(b) + bias, of elements or of their magnitudes.
double entry(const Bf16Product& p, const Tensor& a, const Tensor& b, const Tensor& bias,
             std::int64_t i, std::int64_t j, bool magnitudes) {
  const auto of = [&](double value) { return magnitudes ? std::abs(value) : value; };
  double sum = bias ? of(bias.at(j)) : 0;
  for (std::int64_t l = 0; l < p.k; ++l) {
    sum += of(a.at(p.trans_a ? l * p.m + i : i * p.k + l)) *
           of(b.at(p.trans_b ? j * p.k + l : l * p.n + j));
  }
  return sum;
}

struct Dense {
  Tensor y, dx, dw, dbias;
};

Dense dense(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& dy,
            Precision precision) {
  Tape tape;
  const Var x_leaf = tape.leaf(x);
  const Var w_leaf = tape.leaf(w);
  const Var bias_leaf = tape.leaf(bias);
  const Var y = affine(x_leaf, w_leaf, bias_leaf, precision);
  tape.backward(y, dy);
  return {y.value(), x_leaf.grad(), w_leaf.grad(), bias_leaf.grad()};
}

// Relative to the largest: rounding twice, of sums of many terms.
double relative_difference(const Tensor& a, const Tensor& b) {
  return max_abs_diff(a, b) / max_abs(b);
}

}  // namespace

TEST_CASE("multiply_bf16: products of bf16 with sums in f32, for every transposition and shape") {
  if (lacks_bf16()) return;
  Rng rng(1);
  for (const auto& [m, n, k] : {std::tuple{3, 4, 5}, {1, 7, 2}, {64, 33, 100}, {17, 1, 40}}) {
    for (const bool trans_a : {false, true}) {
      for (const bool trans_b : {false, true}) {
        for (const bool has_bias : {false, true}) {
          const Bf16Product p{m, n, k, trans_a, trans_b};
          const Tensor a = random_normal(rng, trans_a ? Shape{k, m} : Shape{m, k}).to(DType::bf16);
          const Tensor b = random_normal(rng, trans_b ? Shape{n, k} : Shape{k, n}).to(DType::bf16);
          const Tensor bias = has_bias ? random_normal(rng, {n}) : Tensor();
          const Tensor y = multiply_bf16(p, a, b, bias);
          REQUIRE(y.shape() == Shape{m, n});
          for (std::int64_t i = 0; i < m; ++i) {
            for (std::int64_t j = 0; j < n; ++j) {
              const double error = y.at(i * n + j) - entry(p, a, b, bias, i, j, false);
              CHECK(std::abs(error) <=
                    static_cast<double>(k + 1) * 0x1p-24 * entry(p, a, b, bias, i, j, true));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("affine in bf16: value and gradients are those of f32 but for the rounding") {
  if (lacks_bf16()) return;
  Rng rng(2);
  const Tensor x = random_normal(rng, {64, 300});
  const Tensor w = random_normal(rng, {120, 300});
  const Tensor bias = random_normal(rng, {120});
  const Tensor dy = random_normal(rng, {64, 120});
  const Dense bf16 = dense(x, w, bias, dy, Precision::bf16);
  const Dense f32 = dense(x, w, bias, dy, Precision::full);
  const auto round = [](const Tensor& t) { return t.to(DType::bf16).to(DType::f32); };
  const Dense of_rounded = dense(round(x), round(w), bias, round(dy), Precision::full);
  CHECK(relative_difference(bf16.y, of_rounded.y) < 1e-6);
  CHECK(relative_difference(bf16.dx, of_rounded.dx) < 1e-6);
  CHECK(relative_difference(bf16.dw, of_rounded.dw) < 1e-6);
  CHECK(relative_difference(bf16.y, f32.y) < 0x1p-7);
  CHECK(relative_difference(bf16.dx, f32.dx) < 0x1p-7);
  CHECK(relative_difference(bf16.dw, f32.dw) < 0x1p-7);
  CHECK(relative_difference(bf16.y, f32.y) > 1e-5);
  CHECK(max_abs_diff(bf16.dbias, f32.dbias) == 0);
}

TEST_CASE("affine in bf16: its jvp is that of the rounded map") {
  if (lacks_bf16()) return;
  Rng rng(3);
  const Tensor x = random_normal(rng, {64, 300});
  const Tensor w = random_normal(rng, {120, 300});
  const Tensor dx = random_normal(rng, {64, 300});
  const Tensor dw = random_normal(rng, {120, 300});
  Tape tape;
  const Var x_leaf = tape.leaf(x);
  const Var w_leaf = tape.leaf(w);
  const Var y = affine(x_leaf, w_leaf, {}, Precision::bf16);
  const Tensor dy = tape.jvp(std::vector<Var>{y}, std::vector<Var>{x_leaf, w_leaf}, {dx, dw})[0];
  Tensor expected = affine(dx, w, {}, Precision::bf16).value().clone();
  add_in_place(expected, affine(x, dw, {}, Precision::bf16).value());
  CHECK(relative_difference(dy, expected) < 1e-6);
}

TEST_CASE("affine in bf16: small products and those of f64 stay full") {
  if (lacks_bf16()) return;
  Rng rng(4);
  const double before = flop_count().bf16;
  const Tensor x = random_normal(rng, {8, 300});
  const Tensor w = random_normal(rng, {10, 300});
  CHECK(max_abs_diff(affine(x, w, {}, Precision::bf16).value(), affine(x, w).value()) == 0);
  affine(random_normal(rng, {256, 300}, 1, DType::f64),
         random_normal(rng, {100, 300}, 1, DType::f64), {}, Precision::bf16);
  CHECK(flop_count().bf16 == before);
  affine(random_normal(rng, {256, 300}), random_normal(rng, {100, 300}), {}, Precision::bf16);
  CHECK(flop_count().bf16 == before + 2.0 * 256 * 300 * 100);
}

// Of any CPU: what it has, oneDNN names.
TEST_CASE("bf16: is there where oneDNN's instruction set says so, and refused elsewhere") {
  const std::string isa = onednn_description();
  if (isa.ends_with("avx512_core_bf16") || isa.ends_with("avx512_core_amx")) CHECK(cpu_has_bf16());
  if (isa.ends_with("avx2") || isa.ends_with("avx512_core")) CHECK_FALSE(cpu_has_bf16());
  if (cpu_has_bf16()) return;
  const Tensor x = Tensor::zeros({1, 3, 3, 1});
  const std::string expected =
      "expected a CPU with AVX512-BF16 or AMX for products in bf16, got " + isa;
  CHECK_THROWS_WITH_AS(conv2d(x, Tensor::zeros({1, 2, 2, 1}), {}, {.precision = Precision::bf16}),
                       ("conv2d: " + expected).c_str(), ValueError);
  CHECK_THROWS_WITH_AS(affine(x.reshaped({1, 9}), Tensor::zeros({2, 9}), {}, Precision::bf16),
                       ("affine: " + expected).c_str(), ValueError);
}

TEST_SUITE_END();
