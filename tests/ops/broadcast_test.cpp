#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/broadcast.hpp>
#include <isotape/ops/elementwise.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/broadcast");

TEST_CASE("require_broadcastable: takes the shape, trailing axes and one element, no other") {
  const Tensor a({4, 2, 3});
  for (const Shape& shape : {Shape{4, 2, 3}, Shape{2, 3}, Shape{3}, Shape{}, Shape{1, 1}}) {
    CAPTURE(shape);
    CHECK_NOTHROW(require_broadcastable("add", a, Tensor(shape)));
  }
  for (const Shape& shape : {Shape{4}, Shape{2}, Shape{4, 1, 3}, Shape{1, 4, 2, 3}, Shape{0}}) {
    CAPTURE(shape);
    CHECK_THROWS_AS(require_broadcastable("add", a, Tensor(shape)), ShapeError);
  }
  CHECK_THROWS_WITH_AS(
      require_broadcastable("add", a, Tensor({4})),
      "add: expected b of shape [4, 2, 3], of its trailing axes or of one element, got [4]",
      ShapeError);
  CHECK_THROWS_WITH_AS(require_broadcastable("add", a, Tensor({3}, DType::f64)),
                       "add: expected equal element types, got f32 and f64", ShapeError);
}

TEST_CASE("sum_to: equals a plain loop for short, wide, long and empty operands") {
  Rng rng(5);
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const std::int64_t n : {1, 2, 3, 7, 16, 17, 33, 1000}) {
      for (const std::int64_t rows : {0, 1, 5, 100, 20011}) {
        if (n * rows > 1000000) continue;
        const Tensor x = random_normal(rng, {rows, n}, 1, dtype);
        Tensor expected = Tensor::zeros({n}, DType::f64);
        auto* sums = expected.write<double>();
        for (std::int64_t i = 0; i < x.size(); ++i) sums[i % n] += x.at(i);
        CAPTURE(x.shape());
        const double tolerance = dtype == DType::f32 ? 1e-4 : 1e-11;
        CHECK(max_abs_diff(sum_to(x, {n}).to(DType::f64), expected) <= tolerance);
      }
    }
  }
}

TEST_CASE("sum_to: accumulates f32 in f64") {
  const Tensor x = Tensor::full({1 << 20, 3}, 0.1);
  const float tenth = 0.1F;
  const double exact = double(tenth) * (1 << 20);
  CHECK(sum_to(x, {3}).at(1) == double(float(exact)));
  CHECK(sum_to(x, {}).item() == double(float(3 * exact)));
}

TEST_CASE("sum_to: gives the same bits for one and many threads") {
  const int threads = num_threads();
  Rng rng(6);
  for (const Shape& shape : {Shape{200000, 5}, Shape{3000, 257}}) {
    const Tensor x = random_normal(rng, shape);
    const Shape columns{shape[1]};
    set_num_threads(1);
    const Tensor one = sum_to(x, columns);
    set_num_threads(4);
    const Tensor four = sum_to(x, columns);
    set_num_threads(threads);
    CHECK(max_abs_diff(one, four) == 0);
  }
}

TEST_CASE("sum_to: hands back an operand that has the shape, and refuses one it cannot") {
  const Tensor x = Tensor::of({1, 2, 3}, {3});
  CHECK(sum_to(x, {3}).shares_storage_with(x));
  CHECK_THROWS_WITH_AS(sum_to(x, {2}), "sum_to: expected a shape that [3] repeats, got [2]",
                       ShapeError);
}

TEST_CASE("sum_to: is the gradient of a repeated operand") {
  Rng rng(7);
  const Tensor a = random_normal(rng, {2, 4, 3}, 1, DType::f64);
  for (const Shape& shape : {Shape{4, 3}, Shape{3}, Shape{}, Shape{1, 1}}) {
    CAPTURE(shape);
    const Tensor b = random_normal(rng, shape, 1, DType::f64);
    CHECK(gradcheck("add", [](const Vars& in) { return add(in[0], in[1]); }, {a, b}));
    CHECK(gradcheck("sub", [](const Vars& in) { return sub(in[0], in[1]); }, {a, b}));
    CHECK(gradcheck("mul", [](const Vars& in) { return mul(in[0], in[1]); }, {a, b}));
  }
}

TEST_SUITE_END();
