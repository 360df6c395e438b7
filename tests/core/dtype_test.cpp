#include <doctest/doctest.h>
#include <cstdint>

#include <isotape/core/dtype.hpp>
#include <isotape/core/error.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/dtype");

TEST_CASE("dtype: names and sizes") {
  CHECK(name(DType::f32) == "f32");
  CHECK(name(DType::f64) == "f64");
  CHECK(name(DType::u8) == "u8");
  CHECK(name(DType::bf16) == "bf16");
  CHECK(size_of(DType::bf16) == 2);
  CHECK(dtype_of<BFloat16>() == DType::bf16);
  CHECK(message(DType::f64) == "f64");
  CHECK(size_of(DType::f32) == sizeof(float));
  CHECK(size_of(DType::f64) == sizeof(double));
  CHECK(size_of(DType::u8) == 1);
  CHECK(dtype_of<float>() == DType::f32);
  CHECK(dtype_of<double>() == DType::f64);
  CHECK(dtype_of<std::uint8_t>() == DType::u8);
}

TEST_CASE("dispatch_float: calls with the element type, and rejects what is no float") {
  const auto bytes = []<class T>() { return sizeof(T); };
  CHECK(dispatch_float(DType::f32, "op", bytes) == 4);
  CHECK(dispatch_float(DType::f64, "op", bytes) == 8);
  CHECK_THROWS_WITH_AS(dispatch_float(DType::u8, "op", bytes), "op: expected f32 or f64, got u8",
                       ShapeError);
  CHECK_THROWS_WITH_AS(dispatch_float(DType::bf16, "op", bytes),
                       "op: expected f32 or f64, got bf16", ShapeError);
}

TEST_SUITE_END();
