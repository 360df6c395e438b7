#include <doctest/doctest.h>
#include <stdexcept>

#include <isotape/core/error.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/error");

TEST_CASE("require: throws the kind it names, with the parts streamed, only if it does not hold") {
  CHECK_NOTHROW(require<ShapeError>(true, "op: expected ", 1));
  CHECK_THROWS_WITH_AS(require<ShapeError>(false, "op: expected ", 1, ", got ", 2.5),
                       "op: expected 1, got 2.5", ShapeError);
}

TEST_CASE("errors: every kind is an Error, a runtime_error, and corrupt data an IoError") {
  CHECK_THROWS_AS(require<ShapeError>(false, "x"), Error);
  CHECK_THROWS_AS(require<ValueError>(false, "x"), Error);
  CHECK_THROWS_AS(require<IoError>(false, "x"), Error);
  CHECK_THROWS_AS(require<DataError>(false, "x"), IoError);
  CHECK_THROWS_AS(require<NumericError>(false, "x"), Error);
  CHECK_THROWS_AS(require<NoGradientError>(false, "x"), Error);
  CHECK_THROWS_AS(require<Error>(false, "x"), std::runtime_error);
}

TEST_SUITE_END();
