#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/cholesky_qr.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/householder_qr.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reshape.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/householder_qr");

namespace {

Tensor normal(const Shape& shape, double deviation, std::uint64_t seed, DType dtype = DType::f64) {
  Rng rng(seed);
  return random_normal(rng, shape, deviation, DType::f64).to(dtype);
}

double defect(const Tensor& w) {
  const Tensor q = w.to(DType::f64);
  const bool wide = q.dim(0) < q.dim(1);
  const Tensor gram = matmul(q, q, {.trans_a = !wide, .trans_b = wide}).value();
  return max_abs_diff(gram, Tensor::eye(gram.dim(0), DType::f64));
}

}  // namespace

TEST_CASE("householder_qr: vjp and jvp match finite differences, square, tall and wide") {
  const auto f = [](const Vars& in) { return householder_qr(in[0]); };
  for (const Shape& shape :
       {Shape{1, 1}, {3, 3}, {5, 5}, {6, 3}, {3, 6}, {7, 1}, {1, 5}, {2, 4, 4}, {3, 2, 4}}) {
    CAPTURE(shape);
    CHECK(gradcheck("householder_qr", f, {normal(shape, 1, 3)},
                    {.step = 1e-4, .points = 6, .may_vanish = shape == Shape{1, 1}}));
  }
}

TEST_CASE("householder_qr: q^T w is upper triangular with a positive diagonal, and w = q r") {
  for (const Shape& shape : {Shape{4, 4}, {9, 5}, {40, 17}}) {
    const Tensor w = normal(shape, 1, 4);
    const Tensor q = householder_qr(w).value();
    const Tensor r = matmul(q, w, {.trans_a = true}).value();
    CHECK(max_abs_diff(matmul(q, r).value(), w) < 1e-13);
    for (std::int64_t i = 0; i < r.dim(0); ++i) {
      CHECK(r.at(i * r.dim(1) + i) > 0);
      for (std::int64_t j = 0; j < i; ++j) CHECK(std::abs(r.at(i * r.dim(1) + j)) < 1e-13);
    }
    CHECK(max_abs_diff(q, cholesky_qr(w).value()) < 1e-11);
    if (shape[0] == shape[1]) continue;
    CHECK(max_abs_diff(householder_qr(transpose(w)).value(), transpose(q).value()) == 0);
  }
}

TEST_CASE("householder_qr: orthonormal to rounding at any condition, where Cholesky gives up") {
  Tensor w = normal({12, 6}, 1, 5);
  // The last column all but equals the first: condition 1e10.
  for (std::int64_t i = 0; i < 12; ++i) {
    w.write<double>()[i * 6 + 5] = w.at(i * 6) + 1e-10 * w.at(i * 6 + 5);
  }
  CHECK_THROWS_AS(cholesky_qr(w), NumericError);
  CHECK(defect(householder_qr(w).value()) < 1e-14);
  CHECK(defect(householder_qr(normal({50, 30}, 1, 6, DType::f32)).value()) < 3e-7);
  const Tensor q = householder_qr(normal({6, 6}, 1, 7)).value();
  CHECK(max_abs_diff(householder_qr(q).value(), q) < 1e-14);
  CHECK(max_abs_diff(householder_qr(scale(q, 1e-20)).value(), q) < 1e-14);
}

TEST_CASE("householder_qr: is continuous where LAPACK's sign jumps, at w_11 = 0") {
  const auto at = [](double w11) {
    return householder_qr(Tensor::of({w11, 1, 1, 2}, {2, 2}, DType::f64)).value();
  };
  CHECK(max_abs_diff(at(1e-9), at(-1e-9)) < 1e-8);
  CHECK(max_abs_diff(at(0), Tensor::of({0, 1, 1, 0}, {2, 2}, DType::f64)) < 1e-15);
}

TEST_CASE("householder_qr: the gradient is orthogonal to w; f32 agrees; stacks and threads too") {
  const Tensor w = normal({3, 14, 9}, 1, 8);
  const auto gradient = [&](DType dtype) {
    Tape tape;
    const Var leaf = tape.leaf(w.to(dtype));
    tape.backward(householder_qr(leaf), normal(w.shape(), 1, 9, dtype));
    return leaf.grad().to(DType::f64);
  };
  const Tensor grad = gradient(DType::f64);
  CHECK(std::abs(dot(grad, w)) < 1e-12 * frobenius_norm(grad));
  CHECK(max_abs_diff(gradient(DType::f32), grad) < 1e-5 * frobenius_norm(grad));
  const int threads = num_threads();
  set_num_threads(1);
  CHECK(max_abs_diff(gradient(DType::f64), grad) == 0);
  set_num_threads(threads);
}

TEST_CASE("householder_qr: rejects what it cannot factorise") {
  CHECK_THROWS_WITH_AS(householder_qr(Tensor({4})),
                       "householder_qr: expected w of shape [m, n] or [b, m, n], got [4]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(
      householder_qr(Tensor::zeros({3, 2})),
      "householder_qr: expected full column rank, got r_ii = 0 at i = 0 of matrix 0", NumericError);
  CHECK_THROWS_AS(householder_qr(Tensor::full({2, 5, 4}, 1)), NumericError);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(householder_qr(Tensor::of({1, 0, nan, 1}, {2, 2}, DType::f64)),
                       "householder_qr: expected finite entries, got nan at [1, 0] of matrix 0",
                       NumericError);
}

TEST_SUITE_END();
