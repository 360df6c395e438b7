#include <doctest/doctest.h>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/cayley.hpp>
#include <isotape/ops/cayley_factor.hpp>
#include <isotape/ops/matmul.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/cayley_factor");

namespace {

const Shape shapes[] = {{1, 1}, {4, 4}, {5, 3}, {7, 1}, {9, 4}, {40, 12}};

Tensor normal(const Shape& shape, double deviation, std::uint64_t seed) {
  Rng rng(seed);
  return random_normal(rng, shape, deviation, DType::f64);
}

}  // namespace

TEST_CASE("cayley_factor: vjp and jvp match finite differences") {
  for (const Shape& shape : shapes) {
    if (shape[0] == 1) continue;  // always 1
    CAPTURE(shape);
    const auto f = [](const Vars& in) { return cayley_factor(in[0]); };
    CHECK(gradcheck("cayley_factor", f, {normal(shape, 0.5, 1)}, {.points = 4}));
  }
}

TEST_CASE("multiply_cayley, multiply_cayley_transposed: products with the transform, in f32 too") {
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    const Tensor w = normal(shape, 0.6, 2);
    const Tensor a = normal({3, shape[0]}, 1, 3);
    const Tensor b = normal({3, shape[1]}, 1, 4);
    const Tensor q = cayley(w).value();
    const Var f = cayley_factor(w);
    const Tensor forward = multiply_cayley(a, w, f).value();
    const Tensor back = multiply_cayley_transposed(b, w, f).value();
    CHECK(max_abs_diff(forward, matmul(a, q).value()) < 1e-13);
    CHECK(max_abs_diff(back, matmul(b, q, {.trans_b = true}).value()) < 1e-13);
    const Tensor narrow = w.to(DType::f32);
    const Var single = cayley_factor(narrow);
    CHECK(max_abs_diff(multiply_cayley(a.to(DType::f32), narrow, single).value().to(DType::f64),
                       forward) < 1e-5);
    CHECK(max_abs_diff(
              multiply_cayley_transposed(b.to(DType::f32), narrow, single).value().to(DType::f64),
              back) < 1e-5);
  }
}

TEST_CASE("multiply_cayley: the gradients of w are those through the transform") {
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    const Tensor w = normal(shape, 0.6, 5);
    const auto gradient = [&](const auto& product, const Tensor& a) {
      Tape tape;
      const Var leaf = tape.leaf(w);
      const Var y = product(Var(a), leaf);
      tape.backward(y, normal(y.shape(), 1, 6));
      return leaf.grad();
    };
    const auto through = [](const Var& a, const Var& v) { return matmul(a, cayley(v)); };
    const auto past = [](const Var& a, const Var& v) {
      return multiply_cayley(a, v, cayley_factor(v));
    };
    const auto through_transposed = [](const Var& a, const Var& v) {
      return matmul(a, cayley(v), {.trans_b = true});
    };
    const auto past_transposed = [](const Var& a, const Var& v) {
      return multiply_cayley_transposed(a, v, cayley_factor(v));
    };
    const Tensor a = normal({3, shape[0]}, 1, 7);
    const Tensor b = normal({3, shape[1]}, 1, 8);
    CHECK(max_abs_diff(gradient(through, a), gradient(past, a)) < 1e-12);
    CHECK(max_abs_diff(gradient(through_transposed, b), gradient(past_transposed, b)) < 1e-12);
  }
}

TEST_CASE("cayley_factor: rejects what has none") {
  CHECK_THROWS_WITH_AS(cayley_factor(Tensor({2, 3})),
                       "cayley_factor: expected w of shape [m, n], m >= n, got [2, 3]", ShapeError);
  Tensor w = normal({3, 2}, 1, 9);
  w.write<double>()[4] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(cayley_factor(w),
                       "cayley_factor: expected finite entries, not too large, got w of shape [3, "
                       "2] with a factor that is not",
                       NumericError);
  const Var f = cayley_factor(Tensor::zeros({3, 2}));
  CHECK_THROWS_WITH_AS(multiply_cayley(Tensor({1, 2}), Tensor({3, 2}), f),
                       "multiply_cayley: expected a of shape [N, 3], got [1, 2]", ShapeError);
  CHECK_THROWS_WITH_AS(multiply_cayley_transposed(Tensor({1, 3}), Tensor({3, 2}), f),
                       "multiply_cayley_transposed: expected a of shape [N, 2], got [1, 3]",
                       ShapeError);
}

TEST_SUITE_END();
