#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/expanded_kernel.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/expanded_kernel");

TEST_CASE("expanded_kernel: the same convolution, without groups and dilation") {
  Rng rng(1);
  for (const int groups : {1, 2, 3}) {
    for (const int dilation : {1, 2, 3}) {
      CAPTURE(groups);
      CAPTURE(dilation);
      const Tensor w = random_normal(rng, {6, 3, 2, 2}, 1, DType::f64);
      const Tensor x = random_normal(rng, {2, 9, 8, 2 * groups}, 1, DType::f64);
      const Tensor y = conv2d(x, w, {}, {.groups = groups, .dilation = dilation}).value();
      const Tensor wide = expanded_kernel(w, groups, dilation);
      CHECK(wide.shape() == Shape{6, 2 * dilation + 1, dilation + 1, 2 * groups});
      CHECK(max_abs_diff(conv2d(x, wide).value(), y) < 1e-13);
    }
  }
}

TEST_CASE("expanded_kernel: of one group and dilation 1 it is the kernel itself") {
  const Tensor w({4, 3, 3, 2});
  CHECK(expanded_kernel(w, 1, 1).shares_storage_with(w));
}

TEST_CASE("expanded_kernel: rejects what does not fit") {
  CHECK_THROWS_WITH_AS(expanded_kernel(Tensor({3, 2, 2, 2}), 2, 1),
                       "expanded_kernel: expected w of shape [O, h, w, I/groups] and groups = 2 "
                       "that divide O, got [3, 2, 2, 2]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(expanded_kernel(Tensor({4, 2, 2, 2}), 1, 0),
                       "expanded_kernel: expected groups and dilation >= 1, got 1 and 0",
                       ValueError);
}

TEST_SUITE_END();
