#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/cholesky_qr.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reshape.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/cholesky_qr");

namespace {

Var cholesky_qr_of(const Vars& in) { return cholesky_qr(in[0]); }

// Matrices whose singular values lie evenly, on a logarithmic scale, between 1 / kappa and 1.
Tensor conditioned(const Shape& shape, double kappa, std::uint64_t seed) {
  Rng rng(seed);
  const std::int64_t m = shape[-2];
  const std::int64_t n = shape[-1];
  const std::int64_t r = std::min(m, n);
  const std::int64_t count = shape.size() / (m * n);
  const Tensor u = random_orthogonal(rng, {count, m, r}, 1, DType::f64);
  Tensor v = random_orthogonal(rng, {count, r, n}, 1, DType::f64);
  for (std::int64_t i = 0; i < v.size(); ++i) {
    const auto place =
        static_cast<double>(i / n % r) / static_cast<double>(std::max<std::int64_t>(r - 1, 1));
    v.write<double>()[i] *= std::pow(kappa, -place);
  }
  return matmul(u, v).value();
}

// max |q^T q - I|, or of q q^T for a wide q, over a list; in f64.
double defect(const Tensor& list) {
  const Tensor q = list.to(DType::f64);
  const bool tall = q.dim(-2) >= q.dim(-1);
  const Tensor gram = matmul(q, q, {.trans_a = tall, .trans_b = !tall}).value();
  const std::int64_t n = gram.dim(-1);
  double worst = 0;
  for (std::int64_t i = 0; i < gram.size(); ++i) {
    const bool diagonal = i % n == i / n % n;
    worst = std::max(worst, std::abs(gram.at(i) - (diagonal ? 1.0 : 0.0)));
  }
  return worst;
}

const std::vector<Shape> shapes = {{1, 1}, {2, 2},    {5, 5},    {6, 3},    {3, 6},   {7, 1},
                                   {1, 4}, {3, 4, 4}, {2, 6, 3}, {3, 2, 4}, {1, 4, 1}};

}  // namespace

TEST_CASE("cholesky_qr: vjp and jvp match finite differences, whatever the condition") {
  for (const double kappa : {1.0, 10.0, 300.0}) {
    for (const Shape& shape : shapes) {
      CAPTURE(shape);
      CAPTURE(kappa);
      CHECK(gradcheck("cholesky_qr", cholesky_qr_of, {conditioned(shape, kappa, 3)},
                      {.step = 1e-3 / kappa, .points = 6, .may_vanish = shape == Shape{1, 1}}));
    }
  }
  CHECK(gradcheck("cholesky_qr", cholesky_qr_of, {conditioned({20, 9}, 10, 4)}, {.points = 4}));
}

TEST_CASE("cholesky_qr: orthonormal columns, or rows, to rounding up to kappa 1e6") {
  for (const Shape& shape : {Shape{1, 1}, {6, 6}, {9, 4}, {4, 9}, {2, 33, 33}, {2, 64, 32}}) {
    for (const double kappa : {1.0, 1e2, 1e4, 9e5}) {
      CAPTURE(shape);
      CAPTURE(kappa);
      const Tensor w = conditioned(shape, kappa, 5);
      CHECK(defect(cholesky_qr(w).value()) < 1e-14);
      CHECK(defect(cholesky_qr(w.to(DType::f32)).value()) < 3e-7);
    }
  }
}

TEST_CASE("cholesky_qr: is the factor of Householder with a positive diagonal of R") {
  for (const Shape& shape : {Shape{1, 1}, {6, 6}, {9, 4}, {70, 33}}) {
    CAPTURE(shape);
    const std::int64_t n = shape[1];
    const Tensor w = conditioned(shape, 20, 6);
    Tensor expected = w.clone();
    std::vector<double> signs(static_cast<std::size_t>(n));
    blas::qr_orthonormal(shape[0], n, expected.write<double>(), signs.data());
    for (std::int64_t i = 0; i < w.size(); ++i) expected.write<double>()[i] *= signs[i % n];
    CHECK(max_abs_diff(cholesky_qr(w).value(), expected) < 1e-13);
    CHECK(max_abs_diff(cholesky_qr(w.to(DType::f32)).value().to(DType::f64), expected) < 2e-6);
    if (shape[0] == n) continue;
    // Of a wide matrix, the transpose.
    const Tensor wide = cholesky_qr(transpose(w)).value();
    CHECK(max_abs_diff(wide, transpose(expected).value()) < 1e-13);
  }
}

TEST_CASE("cholesky_qr: fixes what has orthonormal columns, and every positive multiple of it") {
  Rng rng(7);
  for (const Shape& shape : {Shape{5, 5}, {8, 3}, {3, 8}, {2, 6, 4}}) {
    CAPTURE(shape);
    const Tensor q = random_orthogonal(rng, shape, 1, DType::f64);
    CHECK(max_abs_diff(cholesky_qr(q).value(), q) < 1e-14);
    CHECK(max_abs_diff(cholesky_qr(scale(q, 1e-20)).value(), q) < 1e-14);
    CHECK(max_abs_diff(cholesky_qr(scale(q, 1e20)).value(), q) < 1e-14);
  }
}

TEST_CASE("cholesky_qr: the gradient is orthogonal to w, and f32's is f64's") {
  for (const double kappa : {1.0, 10.0, 300.0}) {
    CAPTURE(kappa);
    const Tensor w = conditioned({2, 24, 12}, kappa, 8);
    Rng rng(9);
    const Tensor dq = random_normal(rng, w.shape(), 1, DType::f64);
    const auto gradient = [&](DType dtype) {
      Tape tape;
      const Var leaf = tape.leaf(w.to(dtype));
      tape.backward(cholesky_qr(leaf), dq.to(dtype));
      return leaf.grad().to(DType::f64);
    };
    const Tensor exact = gradient(DType::f64);
    double along = 0;
    for (std::int64_t i = 0; i < w.size(); ++i) along += exact.at(i) * w.at(i);
    CHECK(std::abs(along) < 1e-12 * frobenius_norm(exact));
    // What rounding w alone does to the gradient grows with kappa.
    CHECK(max_abs_diff(gradient(DType::f32), exact) < 3e-7 * kappa * frobenius_norm(exact));
  }
}

TEST_CASE("cholesky_qr: at kappa 9e5 the gradient is still that of the factors, after two passes") {
  // For a dq orthogonal to the columns of q, grad_w l = dq with l = w^T q.
  const Tensor w = conditioned({24, 12}, 9e5, 14);
  Rng rng(15);
  Tape tape;
  const Var leaf = tape.leaf(w);
  const Var q = cholesky_qr(leaf);
  const Tensor random = random_normal(rng, w.shape(), 1, DType::f64);
  const Var along = matmul(q.value(), matmul(q.value(), random, {.trans_a = true}));
  const Tensor dq = sub(random, along).value();
  tape.backward(q, dq.clone());
  const Tensor l = matmul(w, q.value(), {.trans_a = true}).value();
  CHECK(frobenius_norm(leaf.grad()) > 1e4);
  CHECK(max_abs_diff(matmul(leaf.grad(), l).value(), dq) < 1e-8);
}

TEST_CASE("cholesky_qr: a list gives what its matrices give one by one, on any number of threads") {
  const int threads = num_threads();
  for (const Shape& shape : {Shape{3, 6, 4}, {4, 80, 40}, {2, 40, 80}, {2, 520, 516}}) {
    CAPTURE(shape);
    Rng rng(10);
    const Tensor w = random_normal(rng, shape, 1, DType::f32);
    const auto both = [&](const Tensor& at) {
      Tape tape;
      const Var leaf = tape.leaf(at);
      const Var q = cholesky_qr(leaf);
      tape.backward(q, at);
      return std::pair{q.value(), leaf.grad()};
    };
    set_num_threads(1);
    const auto one = both(w);
    set_num_threads(2);
    const auto two = both(w);
    set_num_threads(threads);
    const double tolerance = shape[2] < 512 ? 0 : 1e-6;  // BLAS splits the large ones
    CHECK(max_abs_diff(one.first, two.first) <= tolerance);
    CHECK(max_abs_diff(one.second, two.second) <= tolerance);
    for (std::int64_t i = 0; i < shape[0]; ++i) {
      const auto single = both(w.rows(i, i + 1));
      CHECK(max_abs_diff(single.first, one.first.rows(i, i + 1)) <= tolerance);
      CHECK(max_abs_diff(single.second, one.second.rows(i, i + 1)) <= tolerance);
    }
  }
}

TEST_CASE("cholesky_qr: refuses what it cannot factorise") {
  CHECK_THROWS_WITH_AS(cholesky_qr(Tensor({4})),
                       "cholesky_qr: expected w of shape [m, n] or [b, m, n], got [4]", ShapeError);
  CHECK_THROWS_WITH_AS(cholesky_qr(Tensor({1, 1}, DType::u8)),
                       "cholesky_qr: expected f32 or f64, got u8", ShapeError);
  CHECK_THROWS_WITH_AS(
      cholesky_qr(Tensor::zeros({3, 2})),
      "cholesky_qr: expected full column rank, got condition inf (at most 1e+06) of matrix 0",
      NumericError);
  CHECK_THROWS_WITH_AS(
      cholesky_qr(Tensor::zeros({2, 3})),
      "cholesky_qr: expected full row rank, got condition inf (at most 1e+06) of matrix 0",
      NumericError);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(cholesky_qr(Tensor::of({1, 0, nan, 1}, {2, 2}, DType::f64)),
                       "cholesky_qr: expected finite entries, got nan at [1, 0] of matrix 0",
                       NumericError);
  // Rank lost exactly, to rounding, and all but lost: pivots may be positive.
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const std::int64_t n : {2, 9, 100}) {
      CAPTURE(n);
      Rng rng(11);
      Tensor w = random_normal(rng, {n + 3, n}, 1, dtype);
      const Tensor equal = concat({slice(w, 1, 0, n - 1), slice(w, 1, 0, 1)}, 1).value();
      CHECK_THROWS_AS(cholesky_qr(equal), NumericError);
      CHECK_THROWS_AS(cholesky_qr(conditioned({n + 3, n}, 1e8, 12).to(dtype)), NumericError);
    }
  }
  CHECK_THROWS_AS(cholesky_qr(conditioned({2, 12, 6}, 2e6, 13)), NumericError);
}

TEST_SUITE_END();
