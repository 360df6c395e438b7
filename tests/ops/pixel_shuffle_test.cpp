#include <doctest/doctest.h>

#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/pixel_shuffle.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/pixel_shuffle");

TEST_CASE("pixel_unshuffle: channel c s^2 + a s + b is pixel (a, b) of channel c") {
  // Two channels on 2 x 4 pixels: channel 0 counts 0..7, channel 1 counts 10..17.
  const Tensor x =
      Tensor::of({0, 10, 1, 11, 2, 12, 3, 13, 4, 14, 5, 15, 6, 16, 7, 17}, {1, 2, 4, 2});
  const Tensor y =
      Tensor::of({0, 1, 4, 5, 10, 11, 14, 15, 2, 3, 6, 7, 12, 13, 16, 17}, {1, 1, 2, 8});
  CHECK(max_abs_diff(pixel_unshuffle(x, 2).value(), y) == 0);
  CHECK(max_abs_diff(pixel_shuffle(y, 2).value(), x) == 0);
}

TEST_CASE("pixel_unshuffle: every entry is the one of the formula") {
  Rng rng(1);
  for (const std::int64_t s : {1, 2, 3}) {
    const Tensor x = random_normal(rng, {2, 6, 12, 3}, 1, DType::f64);
    const Tensor y = pixel_unshuffle(x, static_cast<int>(s)).value();
    REQUIRE(y.shape() == Shape{2, 6 / s, 12 / s, 3 * s * s});
    for (std::int64_t at = 0; at < x.size(); ++at) {
      const std::int64_t c = at % 3;
      const std::int64_t j = at / 3 % 12;
      const std::int64_t i = at / 36 % 6;
      const std::int64_t pixel = (at / 216 * (6 / s) + i / s) * (12 / s) + j / s;
      REQUIRE(y.at(pixel * 3 * s * s + c * s * s + i % s * s + j % s) == x.at(at));
    }
    CHECK(max_abs_diff(pixel_shuffle(y, static_cast<int>(s)).value(), x) == 0);
  }
}

TEST_CASE("pixel_unshuffle, pixel_shuffle: vjp and jvp match finite differences") {
  Rng rng(2);
  for (const int s : {1, 2, 3}) {
    const std::int64_t area = std::int64_t{s} * s;
    const Tensor fine = random_normal(rng, {2, 3 * area, s, 2}, 1, DType::f64);
    const Tensor coarse = random_normal(rng, {2, 2, 1, 2 * area}, 1, DType::f64);
    CHECK(
        gradcheck("unshuffle", [=](const Vars& in) { return pixel_unshuffle(in[0], s); }, {fine}));
    CHECK(gradcheck("shuffle", [=](const Vars& in) { return pixel_shuffle(in[0], s); }, {coarse}));
  }
}

TEST_CASE("pixel_unshuffle, pixel_shuffle: adjoint and isometric in f32") {
  const auto unshuffle = [](const Var& x) { return pixel_unshuffle(x, 2); };
  const auto shuffle = [](const Var& x) { return pixel_shuffle(x, 2); };
  CHECK(adjoint_test("unshuffle", unshuffle, {3, 4, 6, 5}, DType::f32, 1e-6));
  CHECK(adjoint_test("shuffle", shuffle, {3, 2, 3, 8}, DType::f32, 1e-6));
  Rng rng(3);
  const Tensor x = random_normal(rng, {3, 4, 6, 5});
  CHECK(frobenius_norm(pixel_unshuffle(x, 2).value()) ==
        doctest::Approx(frobenius_norm(x)).epsilon(1e-12));
}

TEST_CASE("pixel_unshuffle: one thread gives what several give; an empty batch passes") {
  Rng rng(4);
  const int threads = num_threads();
  const Tensor x = random_normal(rng, {16, 32, 32, 16});
  set_num_threads(1);
  const Tensor one = pixel_unshuffle(x, 2).value();
  set_num_threads(3);
  const Tensor several = pixel_unshuffle(x, 2).value();
  const Tensor back = pixel_shuffle(several, 2).value();
  set_num_threads(threads);
  CHECK(max_abs_diff(one, several) == 0);
  CHECK(max_abs_diff(back, x) == 0);
  CHECK(pixel_unshuffle(Tensor({0, 4, 4, 1}), 2).shape() == Shape{0, 2, 2, 4});
}

TEST_CASE("pixel_unshuffle, pixel_shuffle: reject what does not divide") {
  CHECK_THROWS_WITH_AS(
      pixel_unshuffle(Tensor({1, 4, 5, 1}), 2),
      "pixel_unshuffle: expected x of shape [N, H, W, C] with H and W multiples of 2, got "
      "[1, 4, 5, 1]",
      ShapeError);
  CHECK_THROWS_WITH_AS(pixel_unshuffle(Tensor({1, 4, 4, 1}), 0),
                       "pixel_unshuffle: expected s >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(
      pixel_shuffle(Tensor({1, 4, 4, 6}), 2),
      "pixel_shuffle: expected x of shape [N, H, W, C] with C a multiple of 4, got [1, 4, 4, 6]",
      ShapeError);
  CHECK_THROWS_WITH_AS(pixel_shuffle(Tensor({4, 4}), -1), "pixel_shuffle: expected s >= 1, got -1",
                       ValueError);
  CHECK_THROWS_WITH_AS(pixel_unshuffle(Tensor({1, 4, 4, 1}, DType::u8), 2),
                       "pixel_unshuffle: expected f32 or f64, got u8", ShapeError);
}

TEST_SUITE_END();
