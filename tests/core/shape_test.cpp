#include <doctest/doctest.h>
#include <array>
#include <cstdint>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/shape.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/shape");

TEST_CASE("shape: knows its rank, size and extents, negative axes from the end") {
  const Shape shape{2, 3, 5};
  CHECK(shape.rank() == 3);
  CHECK(shape.size() == 30);
  CHECK(shape[0] == 2);
  CHECK(shape[2] == 5);
  CHECK(shape[-1] == 5);
  CHECK(shape[-3] == 2);
  CHECK(shape == Shape(std::array<std::int64_t, 3>{2, 3, 5}));
  CHECK(shape != Shape{2, 3});
  CHECK(shape != Shape{2, 3, 5, 1});
}

TEST_CASE("shape: a scalar has one element, an extent of 0 none") {
  CHECK(Shape{}.size() == 1);
  CHECK(Shape{}.rank() == 0);
  CHECK(Shape{4, 0, 3}.size() == 0);
}

TEST_CASE("shape: outer and inner count the elements around an axis") {
  const Shape shape{2, 3, 5, 7};
  CHECK(shape.outer(0) == 1);
  CHECK(shape.inner(0) == 105);
  CHECK(shape.outer(2) == 6);
  CHECK(shape.inner(2) == 7);
  CHECK(shape.outer(-1) == 30);
  CHECK(shape.inner(-1) == 1);
}

TEST_CASE("shape: with replaces one extent") {
  const Shape shape{2, 3};
  CHECK(shape.with(0, 7) == Shape{7, 3});
  CHECK(shape.with(-1, 0) == Shape{2, 0});
  CHECK(shape == Shape{2, 3});
}

TEST_CASE("shape: prints itself in brackets") {
  CHECK(message(Shape{2, 3}) == "[2, 3]");
  CHECK(message(Shape{}) == "[]");
}

TEST_CASE("shape: rejects extents and axes that make no sense") {
  CHECK_THROWS_WITH_AS((Shape{2, -1}), "shape: expected extents >= 0, got -1", ShapeError);
  CHECK_THROWS_WITH_AS((Shape{1, 1, 1, 1, 1, 1, 1}), "shape: expected at most 6 axes, got 7",
                       ShapeError);
  CHECK_THROWS_WITH_AS((Shape{2, 3}[2]), "shape: expected an axis of [2, 3], got 2", ShapeError);
  CHECK_THROWS_WITH_AS((Shape{2, 3}[-3]), "shape: expected an axis of [2, 3], got -3", ShapeError);
  CHECK_THROWS_WITH_AS((Shape{}[0]), "shape: expected an axis of [], got 0", ShapeError);
  CHECK_THROWS_WITH_AS((Shape{2}.with(0, -4)), "shape: expected extents >= 0, got -4", ShapeError);
}

TEST_CASE("shape: rejects a number of elements that no memory holds") {
  const std::int64_t half = std::int64_t{1} << 31;
  CHECK_THROWS_WITH_AS((Shape{half, half}),
                       "shape: expected at most 2^60 elements, got 2147483648 x 2147483648",
                       ShapeError);
  CHECK_THROWS_AS((Shape{std::numeric_limits<std::int64_t>::max(), 3}), ShapeError);
  CHECK_THROWS_AS((Shape{2}.with(0, std::int64_t{1} << 61)), ShapeError);
  CHECK(Shape{half, half / 4}.size() == std::int64_t{1} << 60);
}

TEST_SUITE_END();
