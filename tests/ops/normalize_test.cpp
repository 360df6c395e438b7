#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/normalize.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/normalize");

namespace {

Tensor normal(const Shape& shape, std::uint64_t seed, DType dtype = DType::f64) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, DType::f64).to(dtype);
}

const std::vector<Shape> shapes = {{4}, {1, 6}, {5, 3}, {3, 2, 2, 3}};

}  // namespace

TEST_CASE("unit_rows, unit_frobenius: derivatives match finite differences, rows have length 1") {
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    const Tensor w = normal(shape, 3);
    const bool flat = shape.size() == shape[0];  // rows of one entry: +-1
    CHECK(gradcheck("unit_rows", [](const Vars& in) { return unit_rows(in[0]); }, {w},
                    {.points = 4, .may_vanish = flat}));
    CHECK(gradcheck("unit_frobenius", [](const Vars& in) { return unit_frobenius(in[0]); }, {w},
                    {.points = 4}));
    for (std::int64_t i = 0; i < shape[0]; ++i) {
      CHECK(frobenius_norm(unit_rows(w).value().rows(i, i + 1)) == doctest::Approx(1));
    }
    CHECK(frobenius_norm(unit_frobenius(w).value()) == doctest::Approx(1));
  }
}

TEST_CASE("unit_rows: a zero row stays zero without a gradient, tiny and huge ones get length 1") {
  Tape tape;
  const Var w = tape.leaf(Tensor::of({0, 0, 3e-200, 4e-200, 3e200, -4e200}, {3, 2}, DType::f64));
  const Var y = unit_rows(w);
  CHECK(max_abs_diff(y.value(), Tensor::of({0, 0, 0.6, 0.8, 0.6, -0.8}, {3, 2}, DType::f64)) <
        1e-15);
  tape.backward(y, Tensor::full({3, 2}, 1, DType::f64));
  CHECK(w.grad().at(0) == 0);
  CHECK(w.grad().at(1) == 0);
}

TEST_CASE("rescale_rows: derivatives match finite differences; t = 0 gives 0 and no gradient") {
  Rng rng(4);
  const auto f = [](const Vars& in) { return rescale_rows(in[0], in[1]); };
  for (const Shape& shape : {Shape{1, 6}, {5, 3}, {3, 2, 2, 3}}) {
    const Tensor t = random_uniform(rng, {shape[0]}, 0.5, 2, DType::f64);
    CHECK(gradcheck("rescale_rows", f, {normal(shape, 5), t}, {.points = 4}));
  }
  Tape tape;
  const Var w = tape.leaf(Tensor::of({0, 0, 1, 2}, {2, 2}, DType::f64));
  const Var t = tape.leaf(Tensor::of({0, 4}, {2}, DType::f64));
  const Var y = rescale_rows(w, t);
  CHECK(max_abs_diff(y.value(), Tensor::of({0, 0, 0.5, 1}, {2, 2}, DType::f64)) == 0);
  tape.backward(y, Tensor::full({2, 2}, 1, DType::f64));
  CHECK(max_abs_diff(w.grad(), Tensor::of({0, 0, 0.5, 0.5}, {2, 2}, DType::f64)) == 0);
  CHECK(max_abs_diff(t.grad(), Tensor::of({0, -0.1875}, {2}, DType::f64)) == 0);
  CHECK_THROWS_WITH_AS(rescale_rows(Tensor({2, 3}), Tensor({3})),
                       "rescale_rows: expected t of shape [2] and type f32, got [3] and f32",
                       ShapeError);
}

TEST_CASE("project_rows_l1: derivatives match finite differences off the kinks") {
  const auto f = [](const Vars& in) { return project_rows_l1(in[0]); };
  for (const Shape& shape : {Shape{1, 6}, {5, 3}, {3, 2, 2, 3}}) {
    CHECK(gradcheck("project_rows_l1", f, {normal(shape, 6)}, {.points = 4}));
  }
  CHECK(gradcheck("project_rows_l1", f, {Tensor::of({0.3, -0.2, 0.1, 0.25}, {2, 2}, DType::f64)}));
}

TEST_CASE("project_rows_l1: rows inside the ball stay, others land on it, nearest") {
  const Tensor w = Tensor::of({0.5, -0.25, 0, 3, -2.5, 0.1, 1, 1, -1, 0, 0, 0}, {4, 3}, DType::f64);
  const Tensor third = Tensor::of({0.5, -0.25, 0, 0.75, -0.25, 0, 1. / 3, 1. / 3, -1. / 3, 0, 0, 0},
                                  {4, 3}, DType::f64);
  CHECK(max_abs_diff(project_rows_l1(w).value(), third) < 1e-15);
  // Of 200 random points of the ball none is nearer.
  const Tensor x = normal({1, 5}, 7);
  const Tensor y = project_rows_l1(x).value();
  const auto distance = [&](const Tensor& z) {
    double sum = 0;
    for (std::int64_t i = 0; i < 5; ++i) sum += (z.at(i) - x.at(i)) * (z.at(i) - x.at(i));
    return sum;
  };
  for (std::uint64_t seed = 10; seed < 210; ++seed) {
    CHECK(distance(project_rows_l1(normal({1, 5}, seed)).value()) >= distance(y));
  }
  double sum = 0;
  for (std::int64_t i = 0; i < 5; ++i) sum += std::abs(y.at(i));
  CHECK(sum == doctest::Approx(1));
}

TEST_CASE("normalize: f32 agrees with f64, and errors say what is wrong") {
  const Tensor w = normal({7, 9}, 8);
  const Tensor w32 = w.to(DType::f32);
  CHECK(max_abs_diff(unit_rows(w32).value().to(DType::f64), unit_rows(w).value()) < 1e-6);
  CHECK(max_abs_diff(project_rows_l1(w32).value().to(DType::f64), project_rows_l1(w).value()) <
        1e-6);
  CHECK_THROWS_WITH_AS(unit_rows(Tensor(Shape{})),
                       "unit_rows: expected rows along the outermost axis, got []", ShapeError);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(std::isnan(unit_rows(Tensor::full({1, 1}, nan, DType::f64)).value().item()));
  CHECK_THROWS_WITH_AS(project_rows_l1(Tensor::full({1, 2}, nan)),
                       "project_rows_l1: expected finite entries, got nan as the sum of a row",
                       NumericError);
}

TEST_SUITE_END();
