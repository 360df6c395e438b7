#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/matrix_exp.hpp>
#include <isotape/ops/reshape.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/matrix_exp");

namespace {

Tensor normal(const Shape& shape, double deviation, std::uint64_t seed, DType dtype = DType::f64) {
  Rng rng(seed);
  return random_normal(rng, shape, deviation, DType::f64).to(dtype);
}

Tensor skew(const Tensor& w) { return sub(w, transpose(w)).value(); }

// max |q^T q - I| on the small side.
double defect(const Tensor& w) {
  const Tensor q = w.to(DType::f64);
  const bool wide = q.dim(0) < q.dim(1);
  const Tensor gram = matmul(q, q, {.trans_a = !wide, .trans_b = wide}).value();
  return max_abs_diff(gram, Tensor::eye(gram.dim(0), DType::f64));
}

}  // namespace

TEST_CASE("matrix_exp: vjp and jvp match finite differences, skew or not, small or large") {
  const auto f = [](const Vars& in) { return matrix_exp(in[0]); };
  for (const Shape& shape : {Shape{1, 1}, {2, 2}, {5, 5}, {3, 4, 4}}) {
    CAPTURE(shape);
    for (const double size : {0.05, 0.4, 1.5}) {
      CHECK(gradcheck("matrix_exp", f, {normal(shape, size, 3)}, {.step = 1e-3, .points = 6}));
    }
    CHECK(gradcheck("matrix_exp", f, {skew(normal(shape, 2, 4))}, {.points = 4}));
  }
}

TEST_CASE("skew_exp: vjp and jvp match finite differences, square, tall and wide") {
  const auto f = [](const Vars& in) { return skew_exp(in[0]); };
  for (const Shape& shape : {Shape{4, 4}, {5, 2}, {2, 5}, {6, 1}, {2, 4, 3}}) {
    CAPTURE(shape);
    CHECK(gradcheck("skew_exp", f, {normal(shape, 0.8, 5)}, {.points = 4}));
  }
}

TEST_CASE("matrix_exp: a rotation, a nilpotent matrix and exp(a) exp(-a) = I") {
  for (const double angle : {0.0, 0.3, 3.0, 1000.0}) {
    const Tensor a = Tensor::of({0, -angle, angle, 0}, {2, 2}, DType::f64);
    const double c = std::cos(angle);
    const double s = std::sin(angle);
    const Tensor expected = Tensor::of({c, -s, s, c}, {2, 2}, DType::f64);
    CHECK(max_abs_diff(matrix_exp(a).value(), expected) < 1e-15 * (4 + angle));
  }
  const Tensor nilpotent = Tensor::of({0, 6, 5, 0, 0, 4, 0, 0, 0}, {3, 3}, DType::f64);
  const Tensor expected = Tensor::of({1, 6, 17, 0, 1, 4, 0, 0, 1}, {3, 3}, DType::f64);
  CHECK(max_abs_diff(matrix_exp(nilpotent).value(), expected) < 1e-12);
  const Tensor a = normal({9, 9}, 0.5, 6);
  const Tensor product = matmul(matrix_exp(a), matrix_exp(scale(a, -1))).value();
  CHECK(max_abs_diff(product, Tensor::eye(9, DType::f64)) < 1e-12);
}

TEST_CASE("skew_exp: orthonormal columns, or rows; zero gives the identity's") {
  for (const Shape& shape : {Shape{1, 1}, {8, 8}, {9, 4}, {4, 9}, {33, 32}}) {
    for (const double size : {1e-3, 0.3, 10.0}) {
      CAPTURE(shape);
      CAPTURE(size);
      const Tensor w = normal(shape, size, 7);
      CHECK(defect(skew_exp(w).value()) < 1e-13 * (1 + 10 * size));
      CHECK(defect(skew_exp(w.to(DType::f32)).value()) < 1e-5 * (1 + 10 * size));
    }
  }
  CHECK(max_abs_diff(skew_exp(Tensor::zeros({3, 2}, DType::f64)).value(),
                     Tensor::of({1, 0, 0, 1, 0, 0}, {3, 2}, DType::f64)) == 0);
  const Tensor w = normal({7, 4}, 1, 8);
  const Tensor wide = skew_exp(transpose(w)).value();
  CHECK(max_abs_diff(wide, transpose(skew_exp(w)).value()) == 0);
}

TEST_CASE("matrix_exp: f32 agrees with f64, a stack with its matrices, threads with one") {
  const Tensor a = skew(normal({4, 12, 12}, 0.3, 9));
  const auto both = [](const Tensor& at) {
    Tape tape;
    const Var leaf = tape.leaf(at);
    const Var y = matrix_exp(leaf);
    tape.backward(y, normal(at.shape(), 1, 10, at.dtype()));
    return std::pair{y.value(), leaf.grad()};
  };
  const auto exact = both(a);
  const auto rounded = both(a.to(DType::f32));
  CHECK(max_abs_diff(rounded.first.to(DType::f64), exact.first) < 1e-5);
  CHECK(max_abs_diff(rounded.second.to(DType::f64), exact.second) < 1e-4);
  const int threads = num_threads();
  set_num_threads(1);
  CHECK(max_abs_diff(both(a).second, exact.second) == 0);
  set_num_threads(threads);
  for (std::int64_t b = 0; b < 4; ++b) {
    const Tensor one = matrix_exp(a.rows(b, b + 1)).value();
    CHECK(max_abs_diff(one, exact.first.rows(b, b + 1)) == 0);
  }
}

TEST_CASE("matrix_exp: rejects what it cannot transform") {
  CHECK_THROWS_WITH_AS(matrix_exp(Tensor({2, 3})),
                       "matrix_exp: expected a of shape [n, n] or [b, n, n], got [2, 3]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(skew_exp(Tensor({4})),
                       "skew_exp: expected w of shape [m, n] or [b, m, n], got [4]", ShapeError);
  CHECK_THROWS_WITH_AS(matrix_exp(Tensor::full({2, 2}, 1e6)),
                       "matrix_exp: expected |a|_1 of at most 1.04858e+06, got 2e+06",
                       NumericError);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(matrix_exp(Tensor::full({1, 1}, nan)),
                       "matrix_exp: expected |a|_1 of at most 1.04858e+06, got nan", NumericError);
}

TEST_SUITE_END();
