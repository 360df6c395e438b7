#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/ops/conv2d_checks.hpp>
#include <isotape/ops/product_bf16.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/conv2d_checks");

TEST_CASE("conv2d_checks: options out of range are named with who asks") {
  CHECK_NOTHROW(check_conv2d_options("op", {}));
  CHECK_THROWS_WITH_AS(check_conv2d_options("op", {.stride = 0}), "op: expected stride >= 1, got 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(check_conv2d_options("op", {.border = {0, 0, 0, -2}}),
                       "op: expected border >= 0, got -2", ValueError);
}

TEST_CASE("conv2d_checks: a circular border wraps once, one of zeros is free") {
  const Shape image{1, 3, 4, 1};
  CHECK_NOTHROW(check_conv2d_border("op", image, {.border = {3, 3, 4, 4}}));
  CHECK_THROWS_WITH_AS(check_conv2d_border("op", image, {.border = {0, 4, 0, 0}}),
                       "op: expected a circular border within the image [1, 3, 4, 1], got top 0, "
                       "bottom 4, left 0, right 0",
                       ValueError);
  CHECK_NOTHROW(
      check_conv2d_border("op", image, {.border = {9, 9, 9, 9}, .border_mode = PadMode::zero}));
}

TEST_CASE("conv2d_checks: bf16 is for dense convolutions of f32") {
  const Conv2dGeometry dense{2, 4, 4, 3, 5, 3, 3, 2, 2, 1, 0, 1, 1};
  CHECK(conv2d_precision("op", dense, DType::f32, Precision::full) == Precision::full);
  if (!cpu_has_bf16()) {
    CHECK_THROWS_AS(conv2d_precision("op", dense, DType::f32, Precision::bf16), Error);
    return;
  }
  const auto is_rounded = [](const Conv2dGeometry& g, DType dtype) {
    return conv2d_precision("op", g, dtype, Precision::bf16) == Precision::bf16;
  };
  CHECK(is_rounded(dense, DType::f32));
  CHECK_FALSE(is_rounded(dense, DType::f64));
  Conv2dGeometry other = dense;
  other.images = 0;
  CHECK_FALSE(is_rounded(other, DType::f32));
  other = dense;
  other.dilation = 2;
  CHECK_FALSE(is_rounded(other, DType::f32));
  other = {2, 4, 4, 3, 5, 1, 1, 2, 2, 2, 0, 1, 1};  // a strided point
  CHECK_FALSE(is_rounded(other, DType::f32));
}

TEST_SUITE_END();
