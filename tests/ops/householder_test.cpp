#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/householder.hpp>

using namespace isotape;
using std::numbers::pi;

TEST_SUITE_BEGIN("ops/householder");

namespace {

const Pairing pairings[] = {Pairing::split, Pairing::adjacent};

struct Pair {
  double z1, z2;
};

// Order 1 as the docstring says, and order 2 by its angles.
Pair plain1(Pair z, double theta) {
  if (std::sin(theta / 2) * z.z1 - std::cos(theta / 2) * z.z2 >= 0) return z;
  return {std::cos(theta) * z.z1 + std::sin(theta) * z.z2,
          std::sin(theta) * z.z1 - std::cos(theta) * z.z2};
}

Pair plain2(Pair z, double theta0, double theta1, double theta2) {
  const double phi = std::atan2(z.z2, z.z1);
  double from = std::fmod(phi - theta0 / 2, 2 * pi);
  if (from < 0) from += 2 * pi;
  const double r = std::hypot(z.z1, z.z2);
  double psi = theta0 - phi;
  if (from < pi + theta2 / 2) psi = phi - theta2;
  if (from < (theta1 + theta2) / 2) psi = theta0 + theta1 - phi;
  if (from < theta1 / 2) psi = phi;
  return {r * std::cos(psi), r * std::sin(psi)};
}

Tensor pair(double z1, double z2) { return Tensor::of({z1, z2}, {2}, DType::f64); }

Tensor angles(std::initializer_list<double> values) {
  return values.size() == 1 ? Tensor::of(values, {1}, DType::f64)
                            : Tensor::of(values, {3, 1}, DType::f64);
}

Var apply(int order, const Var& x, const Var& theta, Pairing pairing = Pairing::split) {
  return order == 1 ? householder(x, theta, pairing) : householder2(x, theta, pairing);
}

Tensor random_angles(int order, std::int64_t pairs, std::uint64_t seed) {
  Rng rng(seed);
  const Shape shape = order == 1 ? Shape{pairs} : Shape{3, pairs};
  return random_uniform(rng, shape, 0.1, 2 * pi - 0.1, DType::f64);
}

double norm_of(const Tensor& x) { return frobenius_norm(x); }

}  // namespace

TEST_CASE("householder: order 1 is the formula, in both pairings and types") {
  Rng rng(1);
  const std::int64_t h = 5;
  const Tensor x = random_normal(rng, {7, 3, 2 * h}, 1, DType::f64);
  const Tensor theta = random_uniform(rng, {h}, -7, 7, DType::f64);
  for (const Pairing pairing : pairings) {
    const Tensor y = householder(x, theta, pairing).value();
    double error = 0;
    for (std::int64_t n = 0; n < 21 * h; ++n) {
      const std::int64_t i = n % h;
      const std::int64_t row = n / h * 2 * h;
      const std::int64_t a = row + (pairing == Pairing::split ? i : 2 * i);
      const std::int64_t b = a + (pairing == Pairing::split ? h : 1);
      const Pair expected = plain1({x.at(a), x.at(b)}, theta.at(i));
      error = std::max({error, std::abs(y.at(a) - expected.z1), std::abs(y.at(b) - expected.z2)});
    }
    CHECK(error <= 1e-14);
    const Tensor y32 = householder(x.to(DType::f32), theta.to(DType::f32), pairing).value();
    CHECK(max_abs_diff(y32.to(DType::f64), y) <= 2e-6);
  }
}

TEST_CASE("householder2: order 2 is its sectors, in both pairings and types") {
  Rng rng(2);
  const std::int64_t h = 4;
  const Tensor x = random_normal(rng, {300, 2 * h}, 1, DType::f64);
  const Tensor theta = random_angles(2, h, 3);
  for (const Pairing pairing : pairings) {
    const Tensor y = householder2(x, theta, pairing).value();
    double error = 0;
    for (std::int64_t n = 0; n < 300 * h; ++n) {
      const std::int64_t i = n % h;
      const std::int64_t a = n / h * 2 * h + (pairing == Pairing::split ? i : 2 * i);
      const std::int64_t b = a + (pairing == Pairing::split ? h : 1);
      const Pair expected =
          plain2({x.at(a), x.at(b)}, theta.at(i), theta.at(h + i), theta.at(2 * h + i));
      error = std::max({error, std::abs(y.at(a) - expected.z1), std::abs(y.at(b) - expected.z2)});
    }
    CHECK(error <= 1e-13);
    const Tensor y32 = householder2(x.to(DType::f32), theta.to(DType::f32), pairing).value();
    CHECK(max_abs_diff(y32.to(DType::f64), y) <= 1e-5);
  }
}

TEST_CASE("householder: pi/2 is MaxMin; order 2 without its own angles is one mirror") {
  Rng rng(4);
  const Tensor x = random_normal(rng, {40, 12}, 1, DType::f64);
  const Tensor quarter = Tensor::full({6}, pi / 2, DType::f64);
  for (const Pairing pairing : pairings) {
    CHECK(max_abs_diff(householder(x, quarter, pairing).value(), max_min(x, pairing).value()) <=
          1e-15);
  }
  Tensor theta = Tensor::zeros({3, 6}, DType::f64);
  Tensor other_side({6}, DType::f64);
  for (std::int64_t i = 0; i < 6; ++i) {
    theta.write<double>()[i] = static_cast<double>(i) - 2.5;
    other_side.write<double>()[i] = static_cast<double>(i) - 2.5 + 2 * pi;
  }
  CHECK(max_abs_diff(householder2(x, theta).value(), householder(x, other_side).value()) <= 1e-14);
}

TEST_CASE("householder, householder2: no norm is lost by a division by sqrt 2") {
  // Orthogonium 0.0.4 divides both by sqrt(2): ten of them lose a factor 32.
  Rng rng(5);
  const Tensor dy = random_normal(rng, {50, 24}, 1, DType::f64);
  for (const int order : {1, 2}) {
    const Tensor theta = random_angles(order, 12, 6);
    Tensor x = random_normal(rng, {50, 24}, 1, DType::f64);
    const double before = norm_of(x);
    for (int i = 0; i < 10; ++i) x = apply(order, x, theta).value();
    CHECK(norm_of(x) == doctest::Approx(before).epsilon(1e-14));
    Tape tape;
    const Var leaf = tape.leaf(x);
    tape.backward(apply(order, leaf, theta), dy.clone());
    CHECK(norm_of(leaf.grad()) == doctest::Approx(norm_of(dy)).epsilon(1e-14));
  }
}

TEST_CASE("householder, householder2: continuous where sectors meet, and 1-Lipschitz across") {
  Rng rng(7);
  for (const int order : {1, 2}) {
    for (int round = 0; round < 20; ++round) {
      const Tensor theta = random_angles(order, 1, 100 + static_cast<std::uint64_t>(round));
      double largest = 0;
      double jump = 0;
      Tensor last = apply(order, pair(1, 0), theta).value();
      const int steps = 20000;
      for (int k = 1; k <= steps; ++k) {
        const double phi = 2 * pi * k / steps;
        const Tensor y = apply(order, pair(std::cos(phi), std::sin(phi)), theta).value();
        jump = std::max(jump, std::hypot(y.at(0) - last.at(0), y.at(1) - last.at(1)));
        last = y;
      }
      CHECK(jump <= 2 * pi / steps * 1.0001);
      for (int k = 0; k < 200; ++k) {
        const Tensor a = random_normal(rng, {2}, 1, DType::f64);
        const Tensor b = random_normal(rng, {2}, 1, DType::f64);
        const double ratio =
            max_abs_diff(a, b) == 0
                ? 0
                : std::hypot(
                      apply(order, a, theta).value().at(0) - apply(order, b, theta).value().at(0),
                      apply(order, a, theta).value().at(1) - apply(order, b, theta).value().at(1)) /
                      std::hypot(a.at(0) - b.at(0), a.at(1) - b.at(1));
        largest = std::max(largest, ratio);
      }
      CHECK(largest <= 1 + 1e-12);
    }
  }
}

TEST_CASE("householder, householder2: vjp and jvp match finite differences") {
  Rng rng(8);
  for (const int order : {1, 2}) {
    const char* name = order == 1 ? "householder" : "householder2";
    for (const Pairing pairing : pairings) {
      for (const Shape& shape : {Shape{9, 2}, Shape{7, 3, 4}, Shape{2, 2, 3, 8}}) {
        const Tensor x = random_normal(rng, shape, 1, DType::f64);
        const Tensor theta = random_angles(order, shape[-1] / 2, 9);
        const auto f = [=](const Vars& in) { return apply(order, in[0], in[1], pairing); };
        CHECK(gradcheck(name, f, {x, theta}));
      }
    }
  }
}

TEST_CASE("householder2: angles beyond [0, 2 pi] are folded back, gradient and all") {
  Rng rng(10);
  const Tensor x = random_normal(rng, {60, 2}, 1, DType::f64);
  const double theta1 = 1.25;
  const double theta2 = 4.5;
  const Tensor inside = householder2(x, angles({0.75, theta1, theta2})).value();
  for (const auto& [first, second] :
       {Pair{-theta1, theta2}, Pair{4 * pi - theta1, -theta2}, Pair{theta1 + 4 * pi, theta2}}) {
    const Tensor theta = angles({0.75, first, second});
    CHECK(max_abs_diff(householder2(x, theta).value(), inside) <= 1e-13);
    const auto f = [](const Vars& in) { return householder2(in[0], in[1]); };
    CHECK(gradcheck("householder2", f, {x, theta}));
  }
  // At both ends: a single mirror, and at 2 pi no first sector's end is missed.
  CHECK(norm_of(householder2(x, angles({0.75, 2 * pi, 2 * pi})).value()) ==
        doctest::Approx(norm_of(x)));
}

TEST_CASE("householder: on the mirror the derivative is that of the identity") {
  Tape tape;
  const Var x = tape.leaf(pair(2, 0));  // theta = 0: the mirror is the first axis
  tape.backward(householder(x, angles({0})), pair(3, 5));
  CHECK(x.grad().at(0) == 3);
  CHECK(x.grad().at(1) == 5);
  tape.clear_grads();
  const Var zero = tape.leaf(pair(0, 0));
  tape.backward(householder(zero, angles({1.1})), pair(3, 5));
  CHECK(zero.grad().at(0) == 3);
  CHECK(zero.grad().at(1) == 5);
  const Var y = tape.leaf(pair(2, 1e-9));
  tape.backward(householder(y, angles({0})), pair(3, 5));
  CHECK(y.grad().at(1) == -5);
}

TEST_CASE("householder, householder2: f32 gradients are those of f64; one thread or several") {
  Rng rng(11);
  const int threads = num_threads();
  for (const int order : {1, 2}) {
    const Tensor x = random_normal(rng, {4096, 24}, 1, DType::f64);
    const Tensor dy = random_normal(rng, {4096, 24}, 1, DType::f64);
    const Tensor theta = random_angles(order, 12, 12);
    Tensor grads[3][2];
    for (int run = 0; run < 3; ++run) {
      const DType dtype = run == 0 ? DType::f64 : DType::f32;
      set_num_threads(run == 2 ? 3 : 1);
      Tape tape;
      const Var leaf = tape.leaf(x.to(dtype));
      const Var angle = tape.leaf(theta.to(dtype));
      tape.backward(apply(order, leaf, angle), dy.to(dtype).clone());
      grads[run][0] = leaf.grad();
      grads[run][1] = angle.grad();
    }
    set_num_threads(threads);
    CHECK(max_abs_diff(grads[1][0], grads[2][0]) == 0);
    CHECK(max_abs_diff(grads[1][1], grads[2][1]) == 0);
    CHECK(max_abs_diff(grads[1][1].to(DType::f64), grads[0][1]) <= 1e-5 * max_abs(grads[0][1]));
  }
}

TEST_CASE("householder, householder2: reject what does not fit; empty tensors pass") {
  CHECK(householder(Tensor({3, 0}), Tensor(Shape{0})).shape() == Shape{3, 0});
  CHECK(householder2(Tensor({0, 4}), Tensor({3, 2})).shape() == Shape{0, 4});
  CHECK_THROWS_WITH_AS(householder(Tensor({2, 5}), Tensor(Shape{2})),
                       "householder: expected x of shape [..., C] with C even, got [2, 5]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(householder(Tensor(Shape{}), Tensor(Shape{2})),
                       "householder: expected x of shape [..., C] with C even, got []", ShapeError);
  CHECK_THROWS_WITH_AS(householder(Tensor({2, 6}), Tensor(Shape{2})),
                       "householder: expected theta of shape [3] and type f32, got [2] and f32",
                       ShapeError);
  CHECK_THROWS_WITH_AS(
      householder2(Tensor({2, 6}), Tensor({3, 3}, DType::f64)),
      "householder2: expected theta of shape [3, 3] and type f32, got [3, 3] and f64", ShapeError);
  CHECK_THROWS_WITH_AS(householder(Tensor({2, 4}, DType::u8), Tensor(Shape{2}, DType::u8)),
                       "householder: expected f32 or f64, got u8", ShapeError);
}

TEST_SUITE_END();
