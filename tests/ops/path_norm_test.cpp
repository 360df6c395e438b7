#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/path_norm.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/path_norm");

TEST_CASE("path_norm: is the sum over the paths, with the derivative of finite differences") {
  const Tensor w = Tensor::of({3, 4, 0, 0, 5, 12}, {3, 2}, DType::f64);
  const Tensor a = Tensor::of({2, 7, -1}, {1, 3}, DType::f64);
  CHECK(path_norm(w, a).value().item() == doctest::Approx(2 * 5 + 7 * 0 + 13).epsilon(1e-14));
  Rng rng(2);
  CHECK(gradcheck(
      "path_norm", [](const Vars& in) { return path_norm(in[0], in[1]); },
      {random_normal(rng, {5, 3}, 1, DType::f64), random_normal(rng, {1, 5}, 1, DType::f64)}));
}

TEST_CASE("path_norm: is above every slope of the net") {
  Rng rng(5);
  const Tensor w = random_normal(rng, {16, 4}, 1, DType::f64);
  const Tensor a = random_normal(rng, {1, 16}, 1, DType::f64);
  const double bound = path_norm(w, a).value().item();
  const Tensor x = random_normal(rng, {50, 4}, 1, DType::f64);
  const Tensor step = random_normal(rng, {50, 4}, 1e-3, DType::f64);
  const auto f = [&](const Var& points) { return affine(relu(affine(points, w)), a).value(); };
  const Tensor before = f(x);
  const Tensor after = f(add(x, step));
  for (std::int64_t i = 0; i < 50; ++i) {
    const double length = frobenius_norm(step.rows(i, i + 1));
    CHECK(std::abs(after.at(i) - before.at(i)) <= bound * length * (1 + 1e-12));
  }
}

TEST_CASE(
    "path_norm: where it has a kink the gradient is one of the sides, other shapes are refused") {
  Tape tape;
  const Var w = tape.leaf(Tensor::of({0, 0, 1, 0}, {2, 2}));
  const Var a = tape.leaf(Tensor::of({3, 0}, {1, 2}));
  tape.backward(path_norm(w, a));
  CHECK(max_abs(w.grad()) == 0);
  CHECK(a.grad().at(0) < 1e-14);
  CHECK(a.grad().at(1) == 1);
  CHECK_THROWS_WITH_AS(path_norm(Tensor::zeros({2, 3}), Tensor::zeros({2})),
                       "path_norm: expected [k, d] and [1, k], got [2, 3] and [2]", ShapeError);
}

TEST_SUITE_END();
