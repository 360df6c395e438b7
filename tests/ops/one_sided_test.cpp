#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/one_sided.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/one_sided");

TEST_CASE("one_sided_normalize: onto the ball from outside, untouched inside") {
  const Tensor g = Tensor::of({0.6, -0.8}, {2}, DType::f64);
  const Tensor outside = Tensor::of({3, -4}, {2}, DType::f64);  // <g, w> = 5
  CHECK(max_abs_diff(one_sided_normalize(outside, g).value(),
                     Tensor::of({0.6, -0.8}, {2}, DType::f64)) <= 1e-15);
  const Tensor inside = Tensor::of({0.3, -0.4}, {2}, DType::f64);
  CHECK(max_abs_diff(one_sided_normalize(inside, g).value(), inside) == 0);
  const Tensor zero = Tensor::zeros({2}, DType::f64);
  CHECK(max_abs_diff(one_sided_normalize(zero, zero).value(), zero) == 0);
}

TEST_CASE("one_sided_normalize: gradients on both sides") {
  Rng rng(1);
  for (const double scale : {0.05, 3.0}) {
    const Tensor g = random_normal(rng, {3, 4}, 1, DType::f64);
    const Tensor w =
        add(isotape::scale(g, scale / dot(g, g)), random_normal(rng, {3, 4}, 0.001, DType::f64))
            .value();
    REQUIRE((dot(g, w) > 1) == (scale > 1));
    const auto f = [&](const Vars& in) { return one_sided_normalize(in[0], g); };
    CHECK(gradcheck("one_sided_normalize", f, {w}));
  }
}

TEST_CASE("one_sided_normalize: f32 is f64 to rounding, and errors") {
  Rng rng(2);
  const Tensor w = random_normal(rng, {2, 3, 3, 2});
  const Tensor g = random_normal(rng, {2, 3, 3, 2});
  const Tensor wide = one_sided_normalize(w.to(DType::f64), g.to(DType::f64)).value();
  CHECK(max_abs_diff(one_sided_normalize(w, g).value().to(DType::f64), wide) <= 1e-6);
  CHECK_THROWS_WITH_AS(one_sided_normalize(w, Tensor::zeros({2}, DType::f32)),
                       "one_sided_normalize: expected g of shape [2, 3, 3, 2] and type f32, got "
                       "[2] and f32",
                       ShapeError);
}

TEST_SUITE_END();
