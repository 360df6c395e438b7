#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/n_activation.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/n_activation");

namespace {

Tensor row(std::initializer_list<double> values) {
  return Tensor::of(values, {static_cast<std::int64_t>(values.size())}, DType::f64);
}

double plain(double x, double a, double b) {
  if (x <= a) return x - 2 * a;
  return x >= b ? x - 2 * b : -x;
}

Var apply(const Vars& in) { return n_activation(in[0], in[1], in[2]); }

}  // namespace

TEST_CASE("n_activation: the formula, kinks exchanged where a > b") {
  Rng rng(1);
  const Tensor x = random_normal(rng, {5, 7, 3}, 2, DType::f64);
  const Tensor a = row({-1, 0.5, 0});
  const Tensor b = row({0.5, -1, 0});
  const Tensor y = n_activation(x, a, b).value();
  double error = 0;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const double low = std::min(a.at(i % 3), b.at(i % 3));
    const double high = std::max(a.at(i % 3), b.at(i % 3));
    error = std::max(error, std::abs(y.at(i) - plain(x.at(i), low, high)));
    if (i % 3 == 2) CHECK(y.at(i) == x.at(i));
  }
  CHECK(error == 0);
  const Tensor y32 = n_activation(x.to(DType::f32), a.to(DType::f32), b.to(DType::f32)).value();
  CHECK(max_abs_diff(y32.to(DType::f64), y) <= 1e-6);
}

TEST_CASE("n_activation: continuous at the kinks, of slope 1 or -1: 1-Lipschitz") {
  const Tensor a = row({-1});
  const Tensor b = row({0.25});
  double largest = 0;
  double last = n_activation(Tensor::of({-3}, {1, 1}, DType::f64), a, b).value().item();
  for (int k = 1; k <= 6000; ++k) {
    const double x = -3 + 0.001 * k;
    const double y = n_activation(Tensor::of({x}, {1, 1}, DType::f64), a, b).value().item();
    largest = std::max(largest, std::abs(y - last) / 0.001);
    last = y;
  }
  CHECK(largest <= 1 + 1e-9);
  CHECK(largest >= 1 - 1e-9);
}

TEST_CASE("n_activation: vjp and jvp match finite differences") {
  Rng rng(2);
  const Tensor a = row({-1, 0.5, -0.3, 0.2});
  const Tensor b = row({0.5, -1, 0.4, 0.3});
  for (const Shape& shape : {Shape{4}, Shape{30, 4}, Shape{2, 3, 3, 4}}) {
    const Tensor x = random_normal(rng, shape, 1, DType::f64);
    GradcheckOptions options;
    options.may_vanish = shape.rank() == 1;  // no entry of the single row beyond some kink
    CHECK(gradcheck("n_activation", apply, {x, a, b}, options));
  }
}

TEST_CASE("n_activation: at a kink the slope is +1 and the kink takes its gradient whole") {
  Tape tape;
  const Var x = tape.leaf(Tensor::of({-1, 0.5, 0, 3}, {4, 1}, DType::f64));
  const Var a = tape.leaf(row({-1}));
  const Var b = tape.leaf(row({0.5}));
  tape.backward(n_activation(x, a, b), Tensor::of({1, 10, 100, 1000}, {4, 1}, DType::f64));
  CHECK(x.grad().at(0) == 1);
  CHECK(x.grad().at(1) == 10);
  CHECK(x.grad().at(2) == -100);
  CHECK(a.grad().item() == -2);
  CHECK(b.grad().item() == -2020);
  // Equal kinks: every entry is shifted by one of them, a where it is not above.
  Tape other;
  const Var c = other.leaf(row({0}));
  const Var d = other.leaf(row({0}));
  const Tensor at = Tensor::of({-1, 0, 1}, {3, 1}, DType::f64);
  other.backward(n_activation(at, c, d), Tensor::of({1, 10, 100}, {3, 1}, DType::f64));
  CHECK(c.grad().item() == -22);
  CHECK(d.grad().item() == -200);
}

TEST_CASE("n_activation: the gradient's norm is kept; f32 agrees; one thread or several") {
  Rng rng(3);
  const int threads = num_threads();
  const Tensor x = random_normal(rng, {6000, 12}, 1, DType::f64);
  const Tensor dy = random_normal(rng, {6000, 12}, 1, DType::f64);
  const Tensor a = random_normal(rng, {12}, 1, DType::f64);
  const Tensor b = random_normal(rng, {12}, 1, DType::f64);
  Tensor grads[3][3];
  for (int run = 0; run < 3; ++run) {
    const DType dtype = run == 0 ? DType::f64 : DType::f32;
    set_num_threads(run == 2 ? 3 : 1);
    Tape tape;
    const Var leaves[] = {tape.leaf(x.to(dtype)), tape.leaf(a.to(dtype)), tape.leaf(b.to(dtype))};
    tape.backward(n_activation(leaves[0], leaves[1], leaves[2]), dy.to(dtype).clone());
    for (int i = 0; i < 3; ++i) grads[run][i] = leaves[i].grad();
  }
  set_num_threads(threads);
  CHECK(frobenius_norm(grads[0][0]) == doctest::Approx(frobenius_norm(dy)).epsilon(1e-14));
  for (int i = 0; i < 3; ++i) {
    CHECK(max_abs_diff(grads[1][i], grads[2][i]) == 0);
    CHECK(max_abs_diff(grads[1][i].to(DType::f64), grads[0][i]) <= 1e-5 * max_abs(grads[0][i]));
  }
}

TEST_CASE("n_activation: rejects what does not fit; NaN stays; empty tensors pass") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(std::isnan(
      n_activation(Tensor::of({nan}, {1, 1}, DType::f64), row({-1}), row({1})).value().item()));
  CHECK(n_activation(Tensor({0, 3}), Tensor(Shape{3}), Tensor(Shape{3})).shape() == Shape{0, 3});
  CHECK_THROWS_WITH_AS(n_activation(Tensor(Shape{}), Tensor(Shape{3}), Tensor(Shape{3})),
                       "n_activation: expected x of shape [..., C], got []", ShapeError);
  CHECK_THROWS_WITH_AS(n_activation(Tensor({2, 3}), Tensor(Shape{2}), Tensor(Shape{3})),
                       "n_activation: expected a of shape [3] and type f32, got [2] and f32",
                       ShapeError);
  CHECK_THROWS_WITH_AS(n_activation(Tensor({2, 3}), Tensor(Shape{3}), row({1, 2, 3})),
                       "n_activation: expected b of shape [3] and type f32, got [3] and f64",
                       ShapeError);
  const Tensor bytes({3}, DType::u8);
  CHECK_THROWS_WITH_AS(n_activation(Tensor({2, 3}, DType::u8), bytes, bytes),
                       "n_activation: expected f32 or f64, got u8", ShapeError);
}

TEST_SUITE_END();
