#include <doctest/doctest.h>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/tape.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/lipcheck");

namespace {

const Op running_sum_op("test_running_sum");

// y_i = x_0 + ... + x_i; its transpose sums from the end. `wrong` scales the transpose.
Tensor running_sum(const Tensor& x, bool from_end, double wrong = 1) {
  Tensor y(x.shape(), x.dtype());
  dispatch_float(x.dtype(), "running_sum", [&]<class T>() {
    const T* source = x.data<T>();
    T* target = y.write<T>();
    T sum = 0;
    for (std::int64_t k = 0; k < x.size(); ++k) {
      const std::int64_t i = from_end ? x.size() - 1 - k : k;
      sum += source[i];
      target[i] = static_cast<T>(wrong) * sum;
    }
  });
  return y;
}

Var running_sum(const Var& x, bool transposed = true, double wrong = 1) {
  return record(
      running_sum_op, running_sum(x.value(), false), {x}, {},
      [=](const Tensor& dy, Needs) -> Grads<1> { return {running_sum(dy, transposed, wrong)}; },
      [](const Tangents<1>& dx) { return running_sum(dx[0], false); });
}

}  // namespace

TEST_CASE("adjoint_test: accepts a linear map with its transpose, in both types") {
  const auto f = [](const Var& x) { return running_sum(x); };
  CHECK(adjoint_test("running_sum", f, {9}, DType::f64, 1e-15));
  CHECK(adjoint_test("running_sum", f, {3, 4}, DType::f32, 1e-6));
}

TEST_CASE("adjoint_test: rejects a transpose that is 1 % off, missing or zero") {
  const auto off = [](const Var& x) { return running_sum(x, true, 1.01); };
  const auto missing = [](const Var& x) { return running_sum(x, false); };
  const auto zero = [](const Var& x) { return running_sum(x, true, 0); };
  CHECK_FALSE(adjoint_test("off", off, {9}, DType::f64, 1e-6));
  CHECK_FALSE(adjoint_test("missing", missing, {9}, DType::f64, 1e-6));
  CHECK_FALSE(adjoint_test("zero", zero, {9}, DType::f64, 1e-6));
}

TEST_CASE("adjoint_test: rejects a map that is zero, for then nothing was checked") {
  const auto f = [](const Var& x) { return running_sum(x, true, 0); };
  const CheckReport report = adjoint_test("running_sum", f, {0}, DType::f64, 1e-6);
  CHECK_FALSE(report);
  CHECK(report.detail == "running_sum: <f(x), y> = 0, <x, f^T(y)> = 0, scale 0");
}

TEST_CASE("dense_operator: is the matrix of the map, whatever its offset") {
  const auto affine = [](const Var& x) {
    Tensor y = running_sum(x.value(), false);
    add_in_place(y, Tensor::full(y.shape(), 7, y.dtype()));
    return Var(y);
  };
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor matrix = dense_operator(affine, {2, 2}, dtype);
    CHECK(matrix.shape() == Shape{4, 4});
    CHECK(matrix.dtype() == DType::f64);
    for (std::int64_t i = 0; i < 16; ++i) CHECK(matrix.at(i) == (i / 4 >= i % 4 ? 1 : 0));
  }
}

TEST_CASE("dense_operator: records nothing") {
  const Tape tape;
  dense_operator([](const Var& x) { return running_sum(x); }, {3}, DType::f64);
  CHECK(tape.size() == 0);
}

TEST_CASE("singular_values: of a known matrix, descending, in f64") {
  const Tensor matrix = Tensor::of({0, -2, 0, 1, 0, 0}, {2, 3});
  const auto sigma = singular_values(matrix);
  REQUIRE(sigma.size() == 2);
  CHECK(sigma[0] == doctest::Approx(2).epsilon(1e-15));
  CHECK(sigma[1] == doctest::Approx(1).epsilon(1e-15));
  CHECK(matrix.at(1) == -2);
}

TEST_CASE("singular_values: rejects what is no matrix, or not finite") {
  CHECK_THROWS_WITH_AS(singular_values(Tensor({2, 3, 4})),
                       "singular_values: expected a matrix, got shape [2, 3, 4]", ShapeError);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(singular_values(Tensor::of({1, nan}, {1, 2})),
                       "singular_values: expected finite entries", NumericError);
}

TEST_SUITE_END();
