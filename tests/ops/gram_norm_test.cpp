#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/gram_norm.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/gram_norm");

namespace {

const std::vector<Shape> shapes = {{1, 1}, {5, 5}, {7, 3}, {3, 7}, {1, 6}, {6, 1}, {40, 40}};
const std::vector<Shape> kernels = {{4, 3, 3, 2}, {2, 3, 3, 4}, {3, 1, 1, 3}, {3, 2, 4, 3}};

Tensor normal(const Shape& shape, std::uint64_t seed, DType dtype = DType::f64) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, dtype);
}

double norm_on_image(const Tensor& w, std::int64_t side) {
  const int reach = static_cast<int>(std::max(w.dim(1), w.dim(2)));
  const auto f = [&](const Var& x) { return conv2d(x, w, {}, {.padding = reach - 1}); };
  return singular_values(dense_operator(f, {1, side, side, w.dim(3)}, DType::f64))[0];
}

}  // namespace

TEST_CASE(
    "gram_norm_squared: between the norm and rank^(1/128) times it, for any size of entries") {
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    const Tensor w = normal(shape, 1);
    const double sigma = singular_values(w)[0];
    const auto rank = static_cast<double>(std::min(shape[0], shape[1]));
    for (const double size : {1e-150, 1.0, 1e150}) {
      const double s = std::sqrt(gram_norm_squared(scale(w, size)).value().item());
      CHECK(s >= sigma * size * (1 - 1e-13));
      CHECK(s <= sigma * size * std::pow(rank, 1.0 / 128) * (1 + 1e-13));
    }
    const double f32 = gram_norm_squared(w.to(DType::f32)).value().item();
    CHECK(f32 == doctest::Approx(gram_norm_squared(w).value().item()).epsilon(1e-5));
  }
}

TEST_CASE("gram_norm_squared, conv_norm_squared: derivatives match finite differences") {
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    const auto f = [](const Vars& in) { return gram_norm_squared(in[0]); };
    CHECK(gradcheck("gram_norm_squared", f, {normal(shape, 2)}, {.points = 4}));
  }
  for (const Shape& shape : kernels) {
    CAPTURE(shape);
    const auto f = [](const Vars& in) { return conv_norm_squared(in[0]); };
    CHECK(gradcheck("conv_norm_squared", f, {normal(shape, 3)}, {.points = 4}));
  }
  // Two singular values that cross: the map stays smooth.
  const auto f = [](const Vars& in) { return gram_norm_squared(in[0]); };
  CHECK(gradcheck("gram_norm_squared", f, {Tensor::eye(3, DType::f64)}, {.points = 4}));
}

TEST_CASE("conv_norm_squared: not below the norm on any image; h v times that of a constant one") {
  for (const Shape& shape : kernels) {
    CAPTURE(shape);
    const Tensor w = normal(shape, 4);
    const double s = std::sqrt(conv_norm_squared(w).value().item());
    for (const std::int64_t side : {1, 3, 6}) CHECK(s >= norm_on_image(w, side) * (1 - 1e-13));
  }
  const Tensor constant = Tensor::full({1, 3, 3, 1}, 0.5, DType::f64);
  CHECK(conv_norm_squared(constant).value().item() == doctest::Approx(81 * 0.25));
}

TEST_CASE("conv_norm_squared: of groups, each by itself") {
  const Tensor w = normal({6, 3, 3, 2}, 5);
  const Tensor all = conv_norm_squared(w, 3).value();
  REQUIRE(all.shape() == Shape{3});
  for (std::int64_t g = 0; g < 3; ++g) {
    CHECK(all.at(g) == conv_norm_squared(w.rows(2 * g, 2 * g + 2)).value().item());
  }
  const auto f = [](const Vars& in) { return conv_norm_squared(in[0], 2); };
  CHECK(gradcheck("conv_norm_squared", f, {w}, {.points = 4}));
  CHECK_THROWS_WITH_AS(conv_norm_squared(w, 4),
                       "conv_norm_squared: expected groups that divide the filters of "
                       "[6, 3, 3, 2], got 4",
                       ShapeError);
}

TEST_CASE("gram_norm_squared: zero has no gradient, and errors say what is wrong") {
  Tape tape;
  const Var w = tape.leaf(Tensor::zeros({2, 3}, DType::f64));
  const Var s = gram_norm_squared(w);
  CHECK(s.value().item() == 0);
  tape.backward(s, Tensor::full({1}, 1, DType::f64));
  CHECK(max_abs(w.grad()) == 0);
  CHECK_THROWS_WITH_AS(gram_norm_squared(Tensor({2, 3, 4})),
                       "gram_norm_squared: expected w of shape [m, n], got [2, 3, 4]", ShapeError);
  CHECK_THROWS_WITH_AS(conv_norm_squared(Tensor({2, 3})),
                       "conv_norm_squared: expected w of shape [O, h, v, I], got [2, 3]",
                       ShapeError);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(gram_norm_squared(Tensor::full({1, 2}, nan)),
                       "gram_norm_squared: expected finite entries, got a norm of nan",
                       NumericError);
}

TEST_SUITE_END();
