#include <doctest/doctest.h>
#include <cmath>
#include <cstdint>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/memory.hpp>
#include <isotape/core/tensor.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/tensor");

TEST_CASE("tensor: a default-constructed one is absent") {
  const Tensor absent;
  CHECK_FALSE(absent);
  CHECK(absent.size() == 0);
  CHECK_FALSE(absent.unique());
  CHECK_FALSE(absent.clone());
  CHECK_FALSE(absent.to(DType::f64));
  CHECK_THROWS_WITH_AS(absent.data<float>(),
                       "tensor: expected elements of type f32, got an absent tensor", ShapeError);
}

TEST_CASE("tensor: constructors fill in row-major order") {
  const Tensor x = Tensor::of({1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(x.dtype() == DType::f32);
  CHECK(x.rank() == 2);
  CHECK(x.dim(1) == 3);
  CHECK(x.size() == 6);
  CHECK(x.data<float>()[4] == 5);
  CHECK(x.at(5) == 6);
  CHECK(max_abs(Tensor::zeros({3, 0, 2})) == 0);
  CHECK(Tensor::full({2, 2}, 2.5, DType::f64).at(3) == 2.5);
  CHECK(Tensor::full({2}, 200, DType::u8).at(1) == 200);
  const Tensor eye = Tensor::eye(3, DType::f64);
  for (std::int64_t i = 0; i < 9; ++i) CHECK(eye.at(i) == (i % 4 == 0 ? 1 : 0));
  CHECK(Tensor::full({}, 3).item() == 3);
  CHECK(Tensor::full({1, 1}, 3).item() == 3);
}

TEST_CASE("tensor: elements are aligned to 64 bytes") {
  for (const std::int64_t n : {1, 3, 17, 1000}) {
    CHECK(reinterpret_cast<std::uintptr_t>(Tensor({n}).data<float>()) % 64 == 0);
  }
}

TEST_CASE("tensor: handles share storage and version, clones do not") {
  Tensor x = Tensor::of({1, 2, 3}, {3});
  CHECK(x.unique());
  const Tensor same = x;
  const Tensor other = x.clone();
  CHECK_FALSE(x.unique());
  CHECK(x.shares_storage_with(same));
  CHECK_FALSE(x.shares_storage_with(other));
  const std::uint64_t before = x.version();
  x.write<float>()[0] = 9;
  CHECK(same.at(0) == 9);
  CHECK(other.at(0) == 1);
  CHECK(x.version() > before);
  CHECK(same.version() == x.version());
}

TEST_CASE("tensor: reading leaves the version alone") {
  const Tensor x = Tensor::of({1, 2, 3}, {3});
  const std::uint64_t before = x.version();
  CHECK(x.data<float>()[1] + x.values<float>()[2] + x.at(0) == 6);
  CHECK(x.version() == before);
}

TEST_CASE("tensor: reshaped and rows are views of the same storage") {
  Tensor x = Tensor::of({1, 2, 3, 4, 5, 6}, {3, 2});
  const Tensor flat = x.reshaped({6});
  Tensor tail = x.rows(1, 3);
  CHECK(flat.shape() == Shape{6});
  CHECK(tail.shape() == Shape{2, 2});
  CHECK(tail.at(0) == 3);
  CHECK(tail.rows(1, 2).at(1) == 6);
  CHECK(x.rows(3, 3).size() == 0);
  tail.write<float>()[0] = -3;
  CHECK(x.at(2) == -3);
  CHECK(flat.at(2) == -3);
  CHECK(flat.version() == tail.version());
  CHECK(tail.clone().at(0) == -3);
  CHECK(tail.to(DType::f64).at(3) == 6);
  CHECK(tail.reshaped({4}).at(3) == 6);
}

TEST_CASE("tensor: to converts, and is the tensor itself where nothing changes") {
  const Tensor x = Tensor::of({1.5, -2, 3}, {3}, DType::f64);
  const Tensor y = x.to(DType::f32);
  CHECK(y.dtype() == DType::f32);
  CHECK(y.at(0) == 1.5);
  CHECK(y.to(DType::f32).shares_storage_with(y));
  CHECK(Tensor::of({0, 7, 255}, {3}, DType::u8).to(DType::f32).at(2) == 255);
}

TEST_CASE("tensor: rejects wrong types, indices and shapes") {
  const Tensor x({2, 3});
  CHECK_THROWS_WITH_AS(x.data<double>(), "tensor: expected elements of type f64, got f32",
                       ShapeError);
  CHECK_THROWS_WITH_AS(x.at(6), "tensor: expected an index below 6, got 6", ShapeError);
  CHECK_THROWS_WITH_AS(x.item(), "item: expected a tensor of one element, got shape [2, 3]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(x.reshaped({5}),
                       "reshape: expected a shape of 6 elements for [2, 3], got [5]", ShapeError);
  CHECK_THROWS_WITH_AS(
      x.rows(1, 3),
      "rows: expected 0 <= begin <= end <= the outermost extent of [2, 3], got 1 and 3",
      ShapeError);
  CHECK_THROWS_WITH_AS(Tensor::of({1, 2}, {3}), "tensor: expected 3 values for shape [3], got 2",
                       ShapeError);
  CHECK_THROWS_WITH_AS(require_same("op", x, Tensor({3, 2})),
                       "op: expected equal shapes, got [2, 3] and [3, 2]", ShapeError);
  CHECK_THROWS_WITH_AS(require_same("op", x, Tensor({2, 3}, DType::f64)),
                       "op: expected equal element types, got f32 and f64", ShapeError);
}

TEST_CASE("measurements: dot, norms and differences, absent tensors counting as zeros") {
  const Tensor x = Tensor::of({3, -4}, {2});
  const Tensor y = Tensor::of({1, 2}, {2});
  CHECK(dot(x, y) == -5);
  CHECK(dot(x, Tensor()) == 0);
  CHECK(frobenius_norm(x) == 5);
  CHECK(frobenius_norm(Tensor()) == 0);
  CHECK(max_abs(x) == 4);
  CHECK(max_abs(Tensor()) == 0);
  CHECK(max_abs_diff(x, y) == 6);
  CHECK(max_abs_diff(x, Tensor()) == 4);
  CHECK(max_abs_diff(Tensor(), y) == 2);
  CHECK(max_abs_diff(Tensor(), Tensor()) == 0);
}

TEST_CASE("measurements: dot accumulates in f64") {
  Tensor x = Tensor::full({1 << 20}, 0.1F);
  const double exact = double(0.1F) * double(0.1F) * (1 << 20);
  CHECK(dot(x, x) == doctest::Approx(exact).epsilon(1e-10));
}

TEST_CASE("measurements: a NaN is never lost") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(std::isnan(max_abs(Tensor::of({nan, 1}, {2}))));
  CHECK(std::isnan(max_abs(Tensor::of({1, nan, 2}, {3}))));
  CHECK(std::isnan(max_abs_diff(Tensor::of({nan, 1}, {2}), Tensor::of({0, 0}, {2}))));
  CHECK_FALSE(all_finite(Tensor::of({1, nan}, {2})));
  CHECK_FALSE(all_finite(Tensor::of({-infinity, 1}, {2}, DType::f64)));
  CHECK(all_finite(Tensor::of({1, 2}, {2})));
  CHECK(all_finite(Tensor()));
}

TEST_CASE("add_in_place: y += alpha x through y's storage") {
  Tensor y = Tensor::of({1, 2}, {2}, DType::f64);
  const Tensor alias = y;
  add_in_place(y, Tensor::of({10, 20}, {2}, DType::f64), -0.5);
  CHECK(alias.at(0) == -4);
  CHECK(alias.at(1) == -8);
  add_in_place(y, y);
  CHECK(alias.at(1) == -16);
  CHECK_THROWS_WITH_AS(add_in_place(y, Tensor({3}, DType::f64)),
                       "add_in_place: expected equal shapes, got [2] and [3]", ShapeError);
}

TEST_CASE("tensor: equal marks mean equal elements, also when memory is handed out again") {
  Tensor a = Tensor::full({4}, 1);
  const Tensor::Mark first = a.mark();
  CHECK(a.mark() == first);
  CHECK(a.reshaped({2, 2}).mark() == first);
  CHECK_FALSE(a.rows(1, 4).mark() == first);
  a.write<float>()[0] = 2;
  CHECK_FALSE(a.mark() == first);
  const auto* memory = a.data<float>();
  a = {};
  const Tensor b = Tensor::full({4}, 1);
  CHECK(b.data<float>() == memory);  // the pool's last block
  CHECK_FALSE(b.mark() == first);
}

TEST_CASE("tensor: clones and conversions are counted as copies, handles are not") {
  const Tensor a = Tensor::full({4}, 1);
  const std::int64_t before = memory_stats().copies;
  const Tensor handle = a.reshaped({2, 2}).rows(0, 1).to(DType::f32);
  CHECK(memory_stats().copies == before);
  const Tensor copy = a.clone();
  const Tensor wide = a.to(DType::f64);
  CHECK(memory_stats().copies == before + 2);
}

TEST_SUITE_END();
