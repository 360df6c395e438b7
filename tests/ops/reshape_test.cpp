#include <doctest/doctest.h>
#include <algorithm>
#include <array>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/reshape.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/reshape");

namespace {

Tensor normal(std::uint64_t seed, const Shape& shape, DType dtype = DType::f64) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, dtype);
}

// Axis i of y is axis order[i] of x, entry by entry.
Tensor plain_permute(const Tensor& x, std::span<const int> order) {
  std::vector<std::int64_t> extents;
  for (const int axis : order) extents.push_back(x.dim(axis));
  Tensor y = Tensor::zeros(Shape(extents), DType::f64);
  auto* data = y.write<double>();
  for (std::int64_t index = 0; index < y.size(); ++index) {
    std::int64_t from = 0;
    std::int64_t rest = index;
    for (int i = y.rank(); i-- > 0;) {
      from += rest % y.dim(i) * x.shape().inner(order[i]);
      rest /= y.dim(i);
    }
    data[index] = x.at(from);
  }
  return y;
}

}  // namespace

TEST_CASE("permute: equals a plain loop for every order of every small shape") {
  for (const Shape& shape :
       {Shape{2, 3, 4, 5}, Shape{1, 3, 1, 4}, Shape{5, 1, 1, 1}, Shape{2, 17, 33, 3}}) {
    const Tensor x = normal(1, shape);
    std::array order{0, 1, 2, 3};
    do {
      const Tensor expected = plain_permute(x, order);
      const Tensor y = permute(x, order).value();
      const Tensor y32 = permute(x.to(DType::f32), order).value();
      CAPTURE(expected.shape());
      CHECK(max_abs_diff(y, expected) == 0);
      CHECK(max_abs_diff(y32, expected.to(DType::f32)) == 0);
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST_CASE("permute: an order that moves no entry shares the storage") {
  const Tensor x = normal(2, {4, 1, 5});
  CHECK(permute(x, {1, 0, 2}).value().shares_storage_with(x));
  CHECK_FALSE(permute(x, {2, 1, 0}).value().shares_storage_with(x));
  CHECK(permute(Tensor({3, 0}), {1, 0}).shape() == Shape{0, 3});
  CHECK(permute(Tensor(Shape{}), {}).shape() == Shape{});
}

TEST_CASE("permute, transpose: vjp and jvp match finite differences") {
  const auto cycle = [](const Vars& in) { return permute(in[0], {2, 0, 1}); };
  CHECK(gradcheck("permute", cycle, {normal(3, {2, 3, 4})}));
  CHECK(gradcheck("permute", cycle, {normal(3, {5, 1, 7})}));
  const auto flip = [](const Vars& in) { return transpose(in[0]); };
  CHECK(gradcheck("transpose", flip, {normal(4, {1, 6})}));
  CHECK(gradcheck("transpose", flip, {normal(4, {2, 5, 3})}));
}

TEST_CASE("transpose: exchanges the last two axes, and twice gives the input back") {
  const Tensor x = Tensor::of({1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(max_abs_diff(transpose(x).value(), Tensor::of({1, 4, 2, 5, 3, 6}, {3, 2})) == 0);
  const Tensor batch = normal(5, {3, 40, 70});
  CHECK(transpose(batch).shape() == Shape{3, 70, 40});
  CHECK(max_abs_diff(transpose(transpose(batch)).value(), batch) == 0);
}

TEST_CASE("reshape: keeps the entries and the storage; vjp and jvp match finite differences") {
  const Tensor x = normal(6, {2, 6});
  const Tensor y = reshape(x, {3, 4}).value();
  CHECK(y.shares_storage_with(x));
  CHECK(y.at(7) == x.at(7));
  const auto f = [](const Vars& in) { return reshape(in[0], {3, 2, 2}); };
  CHECK(gradcheck("reshape", f, {x}));
  CHECK(reshape(Tensor({0, 3}), {5, 0}).shape() == Shape{5, 0});
}

TEST_CASE("concat: is undone by slice along every axis") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const int axis : {0, 1, 2, -1}) {
      const Shape shape{4, 3, 5};
      const Tensor a = normal(7, shape, dtype);
      const Tensor b = normal(8, shape.with(axis, 1), dtype);
      const Tensor c = normal(9, shape.with(axis, 0), dtype);
      const Tensor y = concat({a, b, c, a}, axis).value();
      const std::int64_t n = a.dim(axis);
      CAPTURE(axis);
      REQUIRE(y.shape() == shape.with(axis, 2 * n + 1));
      CHECK(max_abs_diff(slice(y, axis, 0, n).value(), a) == 0);
      CHECK(max_abs_diff(slice(y, axis, n, n + 1).value(), b) == 0);
      CHECK(max_abs_diff(slice(y, axis, n + 1, 2 * n + 1).value(), a) == 0);
      CHECK(slice(y, axis, n, n).value().size() == 0);
    }
  }
}

TEST_CASE("concat, slice: vjp and jvp match finite differences") {
  for (const int axis : {0, 1, 2}) {
    const Shape shape{2, 3, 4};
    const Tensor a = normal(10, shape);
    const Tensor b = normal(11, shape.with(axis, 1));
    const auto joined = [=](const Vars& in) { return concat({in[0], in[1]}, axis); };
    CHECK(gradcheck("concat", joined, {a, b}));
    const auto with_constant = [=](const Vars& in) { return concat({b, in[0], b}, axis); };
    CHECK(gradcheck("concat", with_constant, {a}));
    const auto twice = [=](const Vars& in) { return concat({in[0], in[0]}, axis); };
    CHECK(gradcheck("concat", twice, {a}));
    const auto part = [=](const Vars& in) { return slice(in[0], axis, 1, 2); };
    CHECK(gradcheck("slice", part, {a}));
  }
}

TEST_CASE("reshape, permute, concat, slice: are adjoint to their vjp, exactly in f32") {
  const Shape shape{6, 5, 4};
  const auto test = [&](const char* name, const std::function<Var(const Var&)>& f) {
    CHECK(adjoint_test(name, f, shape, DType::f32, 1e-14));
  };
  test("reshape", [](const Var& x) { return reshape(x, {10, 12}); });
  test("permute", [](const Var& x) { return permute(x, {1, 2, 0}); });
  test("concat", [](const Var& x) { return concat({Tensor::zeros({6, 2, 4}), x}, 1); });
  test("slice", [](const Var& x) { return slice(x, 1, 1, 3); });
}

TEST_CASE("permute, concat: keep the norm, of the value and of the gradient") {
  const Tensor x = normal(12, {7, 6, 5});
  Tape tape;
  const Var leaf = tape.leaf(x);
  const Var y = concat({permute(leaf, {2, 1, 0}), Tensor::zeros({5, 6, 1}, DType::f64)}, -1);
  CHECK(frobenius_norm(y.value()) == doctest::Approx(frobenius_norm(x)).epsilon(1e-14));
  Tensor dy = y.value().clone();
  tape.backward(y, dy);
  CHECK(max_abs_diff(leaf.grad(), x) == 0);
}

TEST_CASE("permute, concat, slice: one and many threads give the same bits") {
  const int threads = num_threads();
  const Tensor x = normal(13, {50, 60, 70}, DType::f32);
  const auto f = [&] {
    return concat({permute(x, {2, 1, 0}), permute(slice(x, 2, 3, 63), {2, 1, 0})}, 0).value();
  };
  set_num_threads(1);
  const Tensor one = f();
  set_num_threads(4);
  const Tensor four = f();
  set_num_threads(threads);
  CHECK(max_abs_diff(one, four) == 0);
}

TEST_CASE("reshape, permute, transpose, concat, slice: errors name shapes and arguments") {
  const Tensor x({2, 3});
  CHECK_THROWS_WITH_AS(reshape(x, {4}),
                       "reshape: expected a shape of 6 elements for [2, 3], got [4]", ShapeError);
  for (const auto& [order, text] : {std::pair{std::vector{0}, "[0]"},
                                    {std::vector{0, 0}, "[0, 0]"},
                                    {std::vector{0, 2}, "[0, 2]"},
                                    {std::vector{-1, 0}, "[-1, 0]"},
                                    {std::vector{0, 1, 1}, "[0, 1, 1]"}}) {
    const std::string expected =
        message("permute: expected an order of the axes of [2, 3], got ", text);
    CHECK_THROWS_WITH_AS(permute(x, order), expected.c_str(), ShapeError);
  }
  CHECK_THROWS_WITH_AS(transpose(Tensor({3})),
                       "transpose: expected a matrix or a batch of them, got [3]", ShapeError);
  CHECK_THROWS_WITH_AS(concat({}, 0), "concat: expected at least one value", ShapeError);
  CHECK_THROWS_WITH_AS(concat({x, Tensor({3, 3})}, 1),
                       "concat: expected equal shapes but for axis 1, got [2, 3] and [3, 3]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(concat({x, Tensor({2})}, 0),
                       "concat: expected equal shapes but for axis 0, got [2, 3] and [2]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(concat({x, Tensor({2, 3}, DType::f64)}, 0),
                       "concat: expected equal element types, got f32 and f64", ShapeError);
  CHECK_THROWS_WITH_AS(concat({x}, 2), "concat: expected an axis of [2, 3], got 2", ShapeError);
  CHECK_THROWS_WITH_AS(slice(x, -3, 0, 1), "slice: expected an axis of [2, 3], got -3", ShapeError);
  CHECK_THROWS_WITH_AS(slice(x, -1, 2, 4),
                       "slice: expected 0 <= begin <= end <= 3 of axis 1 of [2, 3], got 2 and 4",
                       ShapeError);
  CHECK_THROWS_WITH_AS(permute(Tensor({2, 3}, DType::u8), {1, 0}),
                       "permute: expected f32 or f64, got u8", ShapeError);
}

TEST_SUITE_END();
