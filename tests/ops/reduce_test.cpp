#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/reduce.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/reduce");

namespace {

Tensor normal(std::uint64_t seed, const Shape& shape, DType dtype = DType::f64) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, dtype);
}

// Sum over one axis of three, in a plain loop.
Tensor plain_sum(const Tensor& x, int axis) {
  std::vector<std::int64_t> rest(x.shape().begin(), x.shape().end());
  rest.erase(rest.begin() + axis);
  Tensor y = Tensor::zeros(Shape(rest), DType::f64);
  auto* sums = y.write<double>();
  const std::int64_t inner = x.shape().inner(axis);
  const std::int64_t block = inner * x.dim(axis);
  for (std::int64_t i = 0; i < x.size(); ++i) sums[i / block * inner + i % inner] += x.at(i);
  return y;
}

Tensor scaled(Tensor x, double factor) {
  add_in_place(x, x.clone(), factor - 1);
  return x;
}

}  // namespace

TEST_CASE("sum, mean: equal a plain loop along every axis, in f64 and f32") {
  for (const Shape& shape :
       {Shape{2, 3, 4}, Shape{1, 1, 1}, Shape{5, 1, 70}, Shape{300, 40, 3}, Shape{1, 900, 50}}) {
    const Tensor x = normal(1, shape);
    for (const int axis : {0, 1, 2}) {
      CAPTURE(shape);
      CAPTURE(axis);
      const Tensor expected = plain_sum(x, axis);
      const Tensor average = scaled(expected.clone(), 1 / double(shape[axis]));
      CHECK(sum(x, axis).shape() == expected.shape());
      CHECK(max_abs_diff(sum(x, axis).value(), expected) <= 1e-12);
      CHECK(max_abs_diff(sum(x, axis - 3).value(), expected) <= 1e-12);
      CHECK(max_abs_diff(mean(x, axis).value(), average) <= 1e-13);
      const Tensor x32 = x.to(DType::f32);
      CHECK(max_abs_diff(sum(x32, axis).value().to(DType::f64), expected) <= 1e-4);
      CHECK(max_abs_diff(mean(x32, axis).value().to(DType::f64), average) <= 1e-6);
    }
    const double total = sum(sum(sum(x, 0), 0), 0).value().item();
    CHECK(sum(x).value().item() == doctest::Approx(total).epsilon(1e-12));
    CHECK(mean(x).value().item() == doctest::Approx(total / double(x.size())).epsilon(1e-12));
    CHECK(sum(x).shape() == Shape{});
  }
}

TEST_CASE("sum, norm: of nothing are 0") {
  CHECK(sum(Tensor({0, 3})).value().item() == 0);
  CHECK(norm(Tensor({0, 3})).value().item() == 0);
  CHECK(max_abs(sum(Tensor({0, 3}), 0).value()) == 0);
  CHECK(max_abs(sum(Tensor({5, 0, 3}), 1).value()) == 0);
  CHECK(sum(Tensor({0, 3}), 1).shape() == Shape{0});
}

TEST_CASE("sum, mean: f32 is accumulated in f64, and a mean does not overflow in between") {
  const float tenth = 0.1F;
  CHECK(mean(Tensor::full({1 << 20}, 0.1)).value().item() == double(tenth));
  CHECK(mean(Tensor::full({2, 1 << 20}, 0.1), 1).value().at(1) == double(tenth));
  CHECK(mean(Tensor::full({8}, 3e38)).value().item() == double(3e38F));
  CHECK(mean(Tensor::full({2, 8}, 3e38), 1).value().at(0) == double(3e38F));
}

TEST_CASE("sum, mean, norm: vjp and jvp match finite differences") {
  for (const Shape& shape : {Shape{2, 3, 4}, Shape{1, 5, 1}, Shape{6, 2, 9}}) {
    const Tensor x = normal(2, shape);
    CHECK(gradcheck("sum", [](const Vars& in) { return sum(in[0]); }, {x}));
    CHECK(gradcheck("mean", [](const Vars& in) { return mean(in[0]); }, {x}));
    CHECK(gradcheck("norm", [](const Vars& in) { return norm(in[0]); }, {x}));
    for (const int axis : {0, 1, 2}) {
      CHECK(gradcheck("sum", [=](const Vars& in) { return sum(in[0], axis); }, {x}));
      CHECK(gradcheck("mean", [=](const Vars& in) { return mean(in[0], axis); }, {x}));
    }
  }
}

TEST_CASE("sum, mean: are adjoint to their vjp") {
  const Shape shape{7, 30, 11};
  for (const int axis : {0, 1, 2}) {
    CHECK(adjoint_test(
        "sum", [=](const Var& x) { return sum(x, axis); }, shape, DType::f32, 1e-6));
    CHECK(adjoint_test(
        "mean", [=](const Var& x) { return mean(x, axis); }, shape, DType::f64, 1e-14));
  }
}

TEST_CASE("sum, mean: have the operator norm stated") {
  const Shape shape{2, 3, 4};
  for (const int axis : {0, 1, 2}) {
    const double root = std::sqrt(double(shape[axis]));
    const auto largest = [&](const std::function<Var(const Var&)>& f) {
      return singular_values(dense_operator(f, shape, DType::f64))[0];
    };
    CHECK(largest([=](const Var& x) { return sum(x, axis); }) == doctest::Approx(root));
    CHECK(largest([=](const Var& x) { return mean(x, axis); }) == doctest::Approx(1 / root));
  }
}

TEST_CASE("norm: is the l2 norm, with a unit gradient, zero at 0") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Tape tape;
    const Var x = tape.leaf(Tensor::of({3, 0, -4}, {3, 1}, dtype));
    const Var y = norm(x);
    CHECK(y.shape() == Shape{});
    CHECK(y.value().item() == 5);
    tape.backward(y);
    CHECK(frobenius_norm(x.grad()) == doctest::Approx(1).epsilon(1e-7));
    const Var origin = tape.leaf(Tensor::zeros({4}, dtype));
    const Var zero = norm(origin);
    tape.backward(zero, {}, {.retain = true});
    CHECK(zero.value().item() == 0);
    CHECK(max_abs(origin.grad()) == 0);
    const Tensors tangent = tape.jvp({&zero, 1}, {&origin, 1}, {Tensor::full({4}, 1, dtype)});
    CHECK(tangent[0].item() == 0);
  }
}

TEST_CASE("norm: neither overflows nor vanishes in between, and shows NaN and infinity") {
  for (const double size : {1e200, 1e-200, 1e-310}) {
    Tape tape;
    const Var x = tape.leaf(Tensor::of({3 * size, 4 * size}, {2}, DType::f64));
    const Var y = norm(x);
    CHECK(y.value().item() == doctest::Approx(5 * size).epsilon(1e-12));
    tape.backward(y);
    CHECK(x.grad().at(0) == doctest::Approx(0.6).epsilon(1e-12));
  }
  CHECK(norm(Tensor::of({3e30, 4e30}, {2})).value().item() == doctest::Approx(5e30));
  const double not_a_number = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(std::isnan(norm(Tensor::of({1, not_a_number, 2}, {3})).value().item()));
  CHECK(norm(Tensor::of({1, infinity}, {2})).value().item() == infinity);
}

TEST_CASE("sum, mean: one and many threads give the same bits") {
  const int threads = num_threads();
  const Tensor x = normal(3, {70, 60, 50}, DType::f32);
  for (const int axis : {0, 1, 2}) {
    set_num_threads(1);
    const Tensor one = mean(x, axis).value();
    const double all_one = sum(x).value().item();
    set_num_threads(4);
    const Tensor four = mean(x, axis).value();
    const double all_four = sum(x).value().item();
    set_num_threads(threads);
    CHECK(max_abs_diff(one, four) == 0);
    CHECK(all_one == all_four);
  }
}

TEST_CASE("sum, mean, norm: errors name the shape and the axis") {
  const Tensor x({2, 3});
  CHECK_THROWS_WITH_AS(sum(x, 2), "sum: expected an axis of [2, 3], got 2", ShapeError);
  CHECK_THROWS_WITH_AS(mean(x, -3), "mean: expected an axis of [2, 3], got -3", ShapeError);
  CHECK_THROWS_WITH_AS(mean(Tensor({0, 3})),
                       "mean: expected at least one entry to take the mean of, got [0, 3]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(mean(Tensor({0, 3}), 0),
                       "mean: expected at least one entry to take the mean of, got [0, 3]",
                       ShapeError);
  const Tensor pixels({2, 3}, DType::u8);
  CHECK_THROWS_WITH_AS(sum(pixels, 1), "sum: expected f32 or f64, got u8", ShapeError);
  CHECK_THROWS_WITH_AS(mean(pixels), "mean: expected f32 or f64, got u8", ShapeError);
  CHECK_THROWS_WITH_AS(norm(pixels), "norm: expected f32 or f64, got u8", ShapeError);
}

TEST_SUITE_END();
