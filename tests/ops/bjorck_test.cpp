#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <support/scoped_threads.hpp>

#include <isotape/core/memory.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/bjorck.hpp>

#include "spectrum.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("ops/bjorck");

namespace {

constexpr DType f32 = DType::f32;
constexpr DType f64 = DType::f64;

Tensor transposed(const Tensor& a) {
  Tensor y({a.dim(1), a.dim(0)}, f64);
  for (std::int64_t i = 0; i < a.dim(0); ++i) {
    for (std::int64_t j = 0; j < a.dim(1); ++j) {
      y.write<double>()[j * a.dim(0) + i] = a.at(i * a.dim(1) + j);
    }
  }
  return y;
}

Tensor scaled(const Tensor& a, double factor) {
  Tensor y = Tensor::zeros(a.shape(), a.dtype());
  add_in_place(y, a, factor);
  return y;
}

double polar(double) { return 1; }

Tensor value(const Tensor& w, const BjorckOptions& options = {}) {
  return bjorck(w, options).value();
}

Tensor gradient(const Tensor& w, const Tensor& dq, const BjorckOptions& options = {}) {
  Tape tape;
  const Var leaf = tape.leaf(w);
  tape.backward(bjorck(leaf, options), dq);
  return leaf.grad();
}

bool same_bits(const Tensor& a, const Tensor& b) { return max_abs_diff(a, b) == 0; }

}  // namespace

TEST_CASE("bjorck: equals U V^T of the singular value decomposition") {
  Rng rng(1);
  for (const Shape& shape : {Shape{8, 8}, Shape{40, 13}, Shape{13, 40}, Shape{1, 7}, Shape{1, 1}}) {
    for (const double kappa : {1.0, 10.0, 300.0, 1e3}) {
      CAPTURE(shape);
      CAPTURE(kappa);
      const Tensor w =
          with_spectrum(rng, shape[0], shape[1], geometric(std::min(shape[0], shape[1]), kappa));
      BjorckReport report;
      CHECK(max_abs_diff(bjorck(w, {}, &report).value(), matrix_function(w, polar)) < 1e-12);
      CHECK(report.converged);
      const Tensor w32 = w.to(f32);
      const Tensor q32 = bjorck(w32, {}, &report).value();
      CHECK(max_abs_diff(q32.to(f64), matrix_function(w32.to(f64), polar)) < 1e-7);
      CHECK(report.converged);
    }
  }
}

TEST_CASE("bjorck: reports defect, condition and path") {
  Rng rng(2);
  const Tensor w = with_spectrum(rng, 20, 7, geometric(7, 5));
  for (const BjorckPath path : {BjorckPath::automatic, BjorckPath::exact, BjorckPath::fast}) {
    BjorckReport report;
    bjorck(scaled(w, 3), {.path = path}, &report);
    CHECK(report.converged);
    CHECK(report.defect < 1e-14);
    CHECK(report.kappa == doctest::Approx(5));
    CHECK(report.sigma_max == doctest::Approx(3));
    CHECK(report.sigma_min == doctest::Approx(0.6));
    CHECK((report.path == BjorckPath::fast) == (path == BjorckPath::fast));
    CHECK((report.iterations > 0) == (path == BjorckPath::fast));
  }
  BjorckReport report;
  bjorck(w, {.iterations = 1}, &report);
  CHECK_FALSE(report.converged);
  CHECK(report.defect > 0.1);
  CHECK(report.iterations == 1);
}

TEST_CASE("bjorck: an orthogonal matrix is returned, whatever its scale") {
  Rng rng(3);
  for (const Shape& shape : {Shape{16, 16}, Shape{30, 10}, Shape{10, 30}}) {
    const Tensor q = random_orthogonal(rng, shape, 1, f64);
    for (const BjorckPath path : {BjorckPath::exact, BjorckPath::fast}) {
      for (const double scale : {1.0, 1e-3, 1e10, 1e-30}) {
        CHECK(max_abs_diff(value(scaled(q, scale), {.path = path}), q) < 1e-14);
        const Tensor q32 = scaled(q, scale).to(f32);
        CHECK(max_abs_diff(value(q32, {.path = path}).to(f64), q) < 5e-7);
      }
    }
  }
}

TEST_CASE("bjorck: commutes with transposition, and its gradient with it") {
  Rng rng(4);
  const Tensor w = with_spectrum(rng, 9, 5, geometric(5, 20));
  const Tensor dq = random_normal(rng, {9, 5}, 1, f64);
  for (const BjorckOptions& options : {BjorckOptions{}, BjorckOptions{.iterations = 4}}) {
    CHECK(max_abs_diff(transposed(value(w, options)), value(transposed(w), options)) < 1e-13);
    CHECK(max_abs_diff(transposed(gradient(w, dq, options)),
                       gradient(transposed(w), transposed(dq), options)) < 1e-12);
  }
}

TEST_CASE("bjorck: the gradient of the polar factor is orthogonal to w") {
  Rng rng(5);
  for (const Shape& shape : {Shape{6, 6}, Shape{9, 5}, Shape{5, 9}}) {
    const Tensor w =
        with_spectrum(rng, shape[0], shape[1], geometric(std::min(shape[0], shape[1]), 50));
    const Tensor grad = gradient(w, random_normal(rng, shape, 1, f64));
    CHECK(std::abs(dot(grad, w)) < 1e-12 * frobenius_norm(grad) * frobenius_norm(w));
  }
}

TEST_CASE("bjorck: all orders and both paths have one limit") {
  Rng rng(6);
  for (const Shape& shape : {Shape{12, 12}, Shape{30, 8}, Shape{8, 30}}) {
    const Tensor w = with_spectrum(rng, shape[0], shape[1], geometric(8 + 4 * (shape[0] == 12), 8));
    const Tensor expected = value(w);
    for (int order = 1; order <= 4; ++order) {
      CAPTURE(order);
      BjorckReport report;
      const Var fast = bjorck(w, {.path = BjorckPath::fast, .order = order}, &report);
      CHECK(report.path == BjorckPath::fast);
      CHECK(max_abs_diff(fast.value(), expected) < 1e-12);
      for (const BjorckPath path : {BjorckPath::exact, BjorckPath::fast}) {
        CHECK(max_abs_diff(value(w, {.path = path, .order = order, .iterations = 25}), expected) <
              1e-12);
      }
    }
  }
}

TEST_CASE("bjorck: a fixed number of steps is exactly that, on both paths") {
  Rng rng(7);
  const Tensor w = with_spectrum(rng, 10, 6, {1.1, 0.9, 0.3, 0.3, 0.05, 1e-4});
  for (const int steps : {1, 3, 5, 20}) {
    const auto order_1 = [steps](double s) {
      for (int k = 0; k < steps; ++k) s = 1.5 * s - 0.5 * s * s * s;
      return s;
    };
    const auto order_2 = [steps](double s) {
      for (int k = 0; k < steps; ++k) s = s * (15 - 10 * s * s + 3 * s * s * s * s) / 8;
      return s;
    };
    for (const BjorckPath path : {BjorckPath::exact, BjorckPath::fast}) {
      CAPTURE(steps);
      CHECK(max_abs_diff(value(w, {.path = path, .iterations = steps, .prescale = 1.0}),
                         matrix_function(w, order_1)) < 1e-12);
      CHECK(max_abs_diff(value(w, {.path = path, .order = 2, .iterations = steps, .prescale = 2.0}),
                         matrix_function(scaled(w, 0.5), order_2)) < 1e-12);
    }
    CHECK(max_abs_diff(value(w, {.path = BjorckPath::fast, .iterations = steps}),
                       value(w, {.path = BjorckPath::exact, .iterations = steps})) < 1e-12);
  }
}

TEST_CASE("bjorck: steps of order 1 keep sigma <= 1 from 2, diverge beyond sqrt 5, and keep 0") {
  for (const BjorckPath path : {BjorckPath::exact, BjorckPath::fast}) {
    const auto steps = [path](double s, int n) {
      return value(Tensor::full({1, 1}, s, f64), {.path = path, .iterations = n, .prescale = 1.0})
          .item();
    };
    for (int n = 1; n < 9; ++n) CHECK(std::abs(steps(2, n)) <= 1);
    CHECK(std::abs(steps(2.3, 6)) > 100);
    CHECK_FALSE(std::isfinite(steps(2.3, 40)));
    CHECK(steps(0, 20) == 0);
    CHECK(steps(-0.5, 20) == doctest::Approx(-1));
  }
}

TEST_CASE("bjorck: f32 agrees with f64 to 1e-5, value and gradient") {
  Rng rng(8);
  for (const Shape& shape : {Shape{32, 32}, Shape{33, 32}, Shape{20, 200}}) {
    for (const double kappa : {1.0, 10.0, 300.0, 1e4}) {
      for (const BjorckOptions& options :
           {BjorckOptions{}, BjorckOptions{.path = BjorckPath::fast},
            BjorckOptions{.iterations = 5}, BjorckOptions{.iterations = 20}}) {
        CAPTURE(shape);
        CAPTURE(kappa);
        const std::int64_t n = std::min(shape[0], shape[1]);
        const Tensor w = with_spectrum(rng, shape[0], shape[1], geometric(n, kappa)).to(f32);
        const Tensor dq = random_normal(rng, shape);
        const Tensor exact = gradient(w.to(f64), dq.to(f64), options);
        CHECK(max_abs_diff(value(w, options).to(f64), value(w.to(f64), options)) < 1e-6);
        CHECK(max_abs_diff(gradient(w, dq, options).to(f64), exact) < 1e-5 * max_abs(exact));
      }
    }
  }
}

TEST_CASE("bjorck: the fast path falls to the exact one for ill-conditioned matrices") {
  Rng rng(9);
  const Tensor w = with_spectrum(rng, 16, 16, geometric(16, 1e3));
  for (int order = 1; order <= 4; ++order) {
    BjorckReport report;
    const Var q = bjorck(w, {.path = BjorckPath::fast, .order = order}, &report);
    CHECK(report.path == BjorckPath::exact);
    CHECK(report.converged);
    CHECK(same_bits(q.value(), value(w)));
  }
}

TEST_CASE("bjorck: many matrices in one node have the bits of one call each, on any threads") {
  const int before = num_threads();
  Rng rng(10);
  Tensors ws;
  Tensors dqs;
  for (const Shape& shape : {Shape{10, 100}, Shape{3, 16, 16}, Shape{64, 64}, Shape{100, 30},
                             Shape{2, 5, 9}, Shape{1, 4}, Shape{90, 90}}) {
    ws.push_back(random_normal(rng, shape));
    dqs.push_back(random_normal(rng, shape));
  }
  for (const BjorckOptions& options :
       {BjorckOptions{}, BjorckOptions{.path = BjorckPath::fast}, BjorckOptions{.iterations = 6}}) {
    Tensors values;
    Tensors grads;
    set_num_threads(1);
    for (std::size_t i = 0; i < ws.size(); ++i) {
      values.push_back(value(ws[i], options));
      grads.push_back(gradient(ws[i], dqs[i], options));
    }
    for (const int threads : {1, 2, 3}) {
      set_num_threads(threads);
      Tape tape;
      Vars leaves;
      for (const Tensor& w : ws) leaves.push_back(tape.leaf(w));
      const Vars qs = bjorck(leaves, options);
      tape.backward(qs, dqs);
      for (std::size_t i = 0; i < ws.size(); ++i) {
        CAPTURE(ws[i].shape());
        CHECK(same_bits(qs[i].value(), values[i]));
        CHECK(same_bits(leaves[i].grad(), grads[i]));
      }
    }
  }
  set_num_threads(before);
}

TEST_CASE("bjorck: a batch is its matrices one by one, the prescale too") {
  Rng rng(11);
  const Tensor w = random_normal(rng, {3, 7, 7}, 1, f64);
  for (const BjorckOptions& options : {BjorckOptions{}, BjorckOptions{.iterations = 3}}) {
    const Tensor q = value(w, options);
    for (std::int64_t k = 0; k < 3; ++k) {
      CHECK(same_bits(q.rows(k, k + 1).reshaped({7, 7}),
                      value(w.rows(k, k + 1).reshaped({7, 7}), options)));
    }
  }
}

TEST_CASE("bjorck: a large matrix agrees on one and two threads") {
  const int before = num_threads();
  Rng rng(12);
  const Tensor w = random_normal(rng, {520, 512});
  const Tensor dq = random_normal(rng, {520, 512});
  set_num_threads(1);
  const Tensor q = value(w);
  const Tensor grad = gradient(w, dq);
  set_num_threads(2);
  CHECK(max_abs_diff(value(w), q) < 1e-7);
  CHECK(max_abs_diff(gradient(w, dq), grad) < 1e-5 * max_abs(grad));
  set_num_threads(before);
}

TEST_CASE("bjorck: a rank-deficient matrix gives the partial isometry and a finite gradient") {
  Rng rng(13);
  for (const Shape& shape : {Shape{6, 6}, Shape{9, 6}, Shape{6, 9}}) {
    for (const DType dtype : {f32, f64}) {
      CAPTURE(shape);
      CAPTURE(dtype);
      const Tensor w =
          with_spectrum(rng, shape[0], shape[1], {1, 0.9, 0.5, 0.5, 1e-9, 0}).to(dtype);
      BjorckReport report;
      const Tensor q = bjorck(w, {}, &report).value().to(f64);
      CHECK_FALSE(report.converged);
      CHECK(report.defect > 0.1);
      if (dtype == f64) {
        CHECK(report.sigma_min < 1e-15);
        CHECK(max_abs_diff(q, matrix_function(w, [](double s) { return s > 1e-7 ? 1.0 : 0.0; })) <
              1e-7);
        CHECK(max_abs(gradient(w, random_normal(rng, shape, 1, f64))) < 100);
      }
      CHECK(all_finite(q));
      CHECK(all_finite(gradient(w, random_normal(rng, shape).to(dtype))));
    }
  }
}

TEST_CASE("bjorck: the zero matrix stays zero, reported as not converged") {
  for (const BjorckOptions& options :
       {BjorckOptions{}, BjorckOptions{.path = BjorckPath::fast}, BjorckOptions{.iterations = 5}}) {
    BjorckReport report;
    const Tensor w = Tensor::zeros({4, 3});
    CHECK(max_abs(bjorck(w, options, &report).value()) == 0);
    CHECK_FALSE(report.converged);
    CHECK(report.defect == 1);
    CHECK(report.kappa == std::numeric_limits<double>::infinity());
    CHECK(all_finite(gradient(w, Tensor::full({4, 3}, 1), options)));
  }
}

TEST_CASE("bjorck: the gradient at an orthogonal matrix is the projection to the tangent space") {
  // Automatic differentiation of an SVD divides by s_i^2 - s_j^2 = 0 here; an iteration that counts
  // its cubic term as a constant returns dq unprojected.
  Rng rng(14);
  const Tensor q = random_orthogonal(rng, {9, 4}, 1, f64);
  const Tensor dq = random_normal(rng, {9, 4}, 1, f64);
  Tensor k({4, 4}, f64);
  blas::gemm(true, false, 4, 4, 9, 1.0, q.data<double>(), 4, dq.data<double>(), 4, 0.0,
             k.write<double>(), 4);
  Tensor expected = dq.clone();  // dq - q (q^T dq + dq^T q) / 2
  Tensor symmetric = scaled(k, -0.5);
  add_in_place(symmetric, transposed(k), -0.5);
  blas::gemm(false, false, 9, 4, 4, 1.0, q.data<double>(), 4, symmetric.data<double>(), 4, 1.0,
             expected.write<double>(), 4);
  for (const BjorckOptions& options :
       {BjorckOptions{}, BjorckOptions{.path = BjorckPath::fast},
        BjorckOptions{.iterations = 1, .prescale = 1.0},
        BjorckOptions{.order = 3, .iterations = 15, .prescale = 1.0}}) {
    CHECK(max_abs_diff(gradient(q, dq, options), expected) < 1e-13);
  }
}

TEST_CASE("bjorck: leaves alone what has no gradient, and notices overwritten results") {
  Rng rng(15);
  const Tensor w = random_normal(rng, {5, 4}, 1, f64);
  Tape tape;
  const Vars leaves = {tape.leaf(w), tape.leaf(w)};
  const Vars qs = bjorck(Vars{leaves[0], w, leaves[1]});
  tape.backward(qs[2], w, {.retain = true});
  CHECK_FALSE(leaves[0].grad());
  CHECK(same_bits(leaves[1].grad(), gradient(w, w)));
  Tensor q = qs[0].value();
  q.write<double>()[0] = 7;
  CHECK_THROWS_WITH_AS(tape.backward(qs[2], w),
                       "bjorck: expected the saved value of shape [5, 4] as it was recorded, got "
                       "one that was overwritten since",
                       Error);
}

TEST_CASE("bjorck: the steady state asks the system for no memory") {
  Rng rng(16);
  const Tensors ws = {random_normal(rng, {3, 16, 16}), random_normal(rng, {20, 50})};
  const auto step = [&ws] {
    for (const BjorckPath path : {BjorckPath::exact, BjorckPath::fast}) {
      Tape tape;
      const Vars leaves = {tape.leaf(ws[0]), tape.leaf(ws[1])};
      tape.backward(bjorck(leaves, {.path = path}), ws);
    }
  };
  const ScopedThreads one(1);
  for (int i = 0; i < 3; ++i) step();
  const std::int64_t allocations = memory_stats().system_allocations;
  for (int i = 0; i < 5; ++i) step();
  CHECK(memory_stats().system_allocations == allocations);
}

TEST_CASE("bjorck: rejects what it cannot orthogonalize") {
  const Tensor w = Tensor::eye(3);
  const auto fails = [](const Tensor& bad, const BjorckOptions& options, const char* text) {
    CHECK_THROWS_WITH(bjorck(bad, options), text);
  };
  fails(Tensor::zeros({4}), {}, "bjorck: expected w of shape [m, n] or [b, m, n], got [4]");
  fails(Tensor::zeros({0, 3}), {}, "bjorck: expected w of shape [m, n] or [b, m, n], got [0, 3]");
  fails(Tensor::zeros({2, 2}, DType::u8), {}, "bjorck: expected f32 or f64, got u8");
  fails(w, {.order = 5}, "bjorck: expected order in 1..4, got 5");
  fails(w, {.iterations = -1}, "bjorck: expected iterations >= 0, got -1");
  fails(w, {.tolerance = -1}, "bjorck: expected tolerance >= 0, got -1");
  fails(w, {.prescale = 0.0}, "bjorck: expected a finite prescale > 0, got 0");
  CHECK_THROWS_WITH_AS(bjorck(Vars{w, w.to(f64)}),
                       "bjorck: expected matrices of one type, got f32 and f64", ShapeError);
  CHECK(bjorck(Vars{}).empty());
  Tensor bad = Tensor::zeros({2, 3, 3});
  bad.write<float>()[9 + 5] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH_AS(bjorck(Vars{w, bad}),
                       "bjorck: expected finite entries, got nan at [1, 2] of matrix 2",
                       NumericError);
  bad.write<float>()[9 + 5] = -std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH_AS(
      bjorck(bad), "bjorck: expected finite entries, got -inf at [1, 2] of matrix 1", NumericError);
}

TEST_SUITE_END();
