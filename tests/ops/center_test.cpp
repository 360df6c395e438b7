#include <doctest/doctest.h>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/center.hpp>
#include <isotape/ops/reduce.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/center");

TEST_CASE("center: the mean along the axis is taken off, of each axis, in f64 and f32") {
  Rng rng(1);
  const Tensor x = random_normal(rng, {3, 4, 5}, 1, DType::f64);
  for (const int axis : {0, 1, 2, -1, -2}) {
    const Tensor y = center(x, axis).value();
    CHECK(max_abs(mean(y, axis).value()) <= 1e-15);
    // Only the mean is gone: what is left of x is constant along the axis.
    Tensor rest = x.clone();
    add_in_place(rest, y, -1);
    CHECK(max_abs(center(rest, axis).value()) <= 1e-15);
    CHECK(max_abs_diff(center(x.to(DType::f32), axis).value().to(DType::f64), y) <= 1e-6);
  }
}

TEST_CASE("center: vjp and jvp match finite differences, and it is its own adjoint") {
  Rng rng(2);
  for (const int axis : {0, 1, 2}) {
    const auto f = [=](const Vars& in) { return center(in[0], axis); };
    CHECK(gradcheck("center", f, {random_normal(rng, {3, 2, 4}, 1, DType::f64)}));
    CHECK(adjoint_test(
        "center", [=](const Var& in) { return center(in, axis); }, {3, 2, 4}, DType::f32, 1e-6));
  }
}

TEST_CASE("center: a projection, of norm 1 and not 2") {
  const auto f = [](const Var& in) { return center(in, 1); };
  const std::vector<double> sigma = singular_values(dense_operator(f, {1, 6, 2}, DType::f64));
  for (std::size_t i = 0; i < sigma.size(); ++i) {
    CHECK(sigma[i] == doctest::Approx(i < 10 ? 1 : 0).epsilon(1e-14));
  }
  CHECK(max_abs(center(Tensor::full({2, 1}, 3), 1).value()) == 0);
}

TEST_CASE("center: rejects an axis that is not there or has no entries") {
  CHECK_THROWS_WITH_AS(center(Tensor({2, 3}), 2),
                       "center: expected an axis with entries of [2, 3], got 2", ShapeError);
  CHECK_THROWS_WITH_AS(center(Tensor({2, 0}), 1),
                       "center: expected an axis with entries of [2, 0], got 1", ShapeError);
  CHECK_THROWS_WITH_AS(center(Tensor({2, 3}, DType::u8), 1), "center: expected f32 or f64, got u8",
                       ShapeError);
}

TEST_SUITE_END();
