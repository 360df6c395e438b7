#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/cyclic_shift.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/cyclic_shift");

TEST_CASE("cyclic_shift: each run goes its own way around the torus") {
  Rng rng(1);
  const Tensor x = random_normal(rng, {2, 3, 4, 5}, 1, DType::f64);
  const Tensor y = cyclic_shift(x, {{1, 3, 1, 0}, {3, 4, 0, -2}, {0, 1, -4, 9}}).value();
  const auto at = [](const Tensor& t, int n, int i, int j, int c) {
    return t.at(((n * 3 + (i + 9) % 3) * 4 + (j + 12) % 4) * 5 + c);
  };
  for (int n = 0; n < 2; ++n) {
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 4; ++j) {
        CHECK(at(y, n, i, j, 0) == at(x, n, i + 4, j - 9, 0));
        CHECK(at(y, n, i, j, 1) == at(x, n, i - 1, j, 1));
        CHECK(at(y, n, i, j, 2) == at(x, n, i - 1, j, 2));
        CHECK(at(y, n, i, j, 3) == at(x, n, i, j + 2, 3));
        CHECK(at(y, n, i, j, 4) == at(x, n, i, j, 4));
      }
    }
  }
}

TEST_CASE("cyclic_shift: gradient and adjoint") {
  Rng rng(2);
  const std::vector<ChannelShift> runs{{0, 2, 1, 1}, {2, 3, -1, 2}};
  const auto f = [&](const Vars& in) { return cyclic_shift(in[0], runs); };
  CHECK(gradcheck("cyclic_shift", f, {random_normal(rng, {1, 3, 2, 4}, 1, DType::f64)}));
  const auto linear = [&](const Var& x) { return cyclic_shift(x, runs); };
  CHECK(adjoint_test("cyclic_shift", linear, {2, 5, 3, 4}, DType::f32, 1e-6));
}

TEST_CASE("cyclic_shift: errors") {
  const Tensor x = Tensor::zeros({1, 2, 2, 3}, DType::f32);
  CHECK_THROWS_WITH_AS(cyclic_shift(x, {{0, 2, 1, 0}, {1, 3, 0, 1}}),
                       "cyclic_shift: expected disjoint runs within 3 channels, got 1..3",
                       ValueError);
  CHECK_THROWS_WITH_AS(cyclic_shift(x, {{2, 4, 1, 0}}),
                       "cyclic_shift: expected disjoint runs within 3 channels, got 2..4",
                       ValueError);
  CHECK_THROWS_WITH_AS(cyclic_shift(x.reshaped({4, 3}), {}),
                       "cyclic_shift: expected images [N, H, W, C], got [4, 3]", ShapeError);
}

TEST_SUITE_END();
