#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/block_reflector.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reshape.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/block_reflector");

namespace {

Tensor normal(const Shape& shape, std::uint64_t seed, DType dtype = DType::f64) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, DType::f64).to(dtype);
}

}  // namespace

TEST_CASE("block_reflector: vjp and jvp match finite differences") {
  const auto f = [](const Vars& in) { return block_reflector(in[0]); };
  for (const Shape& shape : {Shape{2, 1}, {5, 2}, {6, 3}, {9, 4}, {3, 5, 2}}) {
    CAPTURE(shape);
    // The gradcheck of the composition stands for its own op, whose input is orthonormal here.
    CHECK(gradcheck("reflect_span", f, {normal(shape, 3)}, {.step = 1e-4, .points = 6}));
  }
}

TEST_CASE("block_reflector: symmetric, orthogonal, -1 on the span of v and +1 beside it") {
  for (const Shape& shape : {Shape{1, 1}, {4, 2}, {33, 16}, {40, 1}}) {
    CAPTURE(shape);
    const Tensor v = normal(shape, 4);
    const Tensor y = block_reflector(v).value();
    const Tensor eye = Tensor::eye(shape[0], DType::f64);
    CHECK(max_abs_diff(matmul(y, y).value(), eye) < 1e-13);
    CHECK(max_abs_diff(y, transpose(y).value()) == 0);
    CHECK(max_abs_diff(matmul(y, v).value(), neg(v).value()) < 1e-13);
    double trace = 0;
    for (std::int64_t i = 0; i < shape[0]; ++i) trace += y.at(i * (shape[0] + 1));
    CHECK(trace == doctest::Approx(static_cast<double>(shape[0] - 2 * shape[1])));
    const Tensor rounded = block_reflector(v.to(DType::f32)).value().to(DType::f64);
    CHECK(max_abs_diff(matmul(rounded, rounded).value(), eye) < 2e-6);
  }
}

TEST_CASE("block_reflector: rank 1 is Householder's reflector; a full rank -I without gradient") {
  const Tensor v = Tensor::of({3, 4}, {2, 1}, DType::f64);
  const Tensor expected = Tensor::of({0.28, -0.96, -0.96, -0.28}, {2, 2}, DType::f64);
  CHECK(max_abs_diff(block_reflector(v).value(), expected) < 1e-15);
  Tape tape;
  const Var leaf = tape.leaf(normal({5, 5}, 5));
  const Var y = block_reflector(leaf);
  CHECK(max_abs_diff(y.value(), neg(Tensor::eye(5, DType::f64)).value()) < 1e-13);
  tape.backward(y, normal({5, 5}, 6));
  CHECK(max_abs(leaf.grad()) < 1e-11);
}

TEST_CASE("block_reflector: only the span counts, and the gradient is orthogonal to it") {
  const Tensor v = normal({8, 3}, 7);
  const Tensor z = normal({3, 3}, 8);
  CHECK(max_abs_diff(block_reflector(matmul(v, z)).value(), block_reflector(v).value()) < 1e-12);
  const auto gradient = [&](DType dtype) {
    Tape tape;
    const Var leaf = tape.leaf(v.to(dtype));
    tape.backward(block_reflector(leaf), normal({8, 8}, 9, dtype));
    return leaf.grad().to(DType::f64);
  };
  const Tensor grad = gradient(DType::f64);
  CHECK(max_abs(matmul(v, grad, {.trans_a = true}).value()) < 1e-12);
  CHECK(max_abs_diff(gradient(DType::f32), grad) < 1e-5);
}

TEST_CASE("block_reflector: rejects what spans less than it has columns") {
  CHECK_THROWS_WITH_AS(
      block_reflector(Tensor({2, 3})),
      "block_reflector: expected v of shape [n, r] or [b, n, r] with r <= n, got [2, 3]",
      ShapeError);
  CHECK_THROWS_AS(block_reflector(Tensor::full({4, 2}, 1)), NumericError);
}

TEST_SUITE_END();
