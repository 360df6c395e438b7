#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/channels.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/channels");

TEST_CASE("channel_pad: appends zeros, and its gradient drops them") {
  const Tensor x = Tensor::of({1, 2, 3, 4}, {2, 2});
  const Tensor y = channel_pad(x, 3).value();
  CHECK(max_abs_diff(y, Tensor::of({1, 2, 0, 3, 4, 0}, {2, 3})) == 0);
  CHECK(max_abs_diff(channel_pad(x, 2).value(), x) == 0);
  const auto f = [](const Var& in) { return channel_pad(in, 5); };
  CHECK(adjoint_test("channel_pad", f, {2, 3, 2, 3}, DType::f32, 1e-6));
  CHECK(gradcheck("channel_pad", [&](const Vars& in) { return f(in[0]); },
                  {Tensor::full({2, 3}, 1, DType::f64)}));
}

TEST_CASE("channel_shuffle: deals groups out in turn; the transpose is its inverse") {
  const Tensor x = Tensor::of({1, 2, 3, 4, 5, 6}, {1, 6});
  CHECK(max_abs_diff(channel_shuffle(x, 2).value(), Tensor::of({1, 4, 2, 5, 3, 6}, {1, 6})) == 0);
  Rng rng(1);
  const Tensor image = random_normal(rng, {2, 3, 2, 12});
  for (const int groups : {1, 2, 3, 12}) {
    const Tensor y = channel_shuffle(image, groups).value();
    CHECK(max_abs_diff(channel_shuffle(y, 12 / groups).value(), image) == 0);
    const auto f = [=](const Var& in) { return channel_shuffle(in, groups); };
    CHECK(adjoint_test("channel_shuffle", f, {2, 3, 2, 12}, DType::f32, 1e-6));
  }
  CHECK(gradcheck("channel_shuffle", [](const Vars& in) { return channel_shuffle(in[0], 2); },
                  {Tensor::full({2, 6}, 1, DType::f64)}));
}

TEST_CASE("channel_pad, channel_shuffle: reject what does not fit") {
  CHECK_THROWS_WITH_AS(
      channel_pad(Tensor({2, 4}), 3),
      "channel_pad: expected x of shape [..., C] with at most 3 channels, got [2, 4]", ShapeError);
  CHECK_THROWS_WITH_AS(
      channel_shuffle(Tensor({2, 4}), 3),
      "channel_shuffle: expected x of shape [..., C] with C a multiple of 3, got [2, 4]",
      ShapeError);
  CHECK_THROWS_WITH_AS(channel_shuffle(Tensor({2, 4}), 0),
                       "channel_shuffle: expected groups >= 1, got 0", ValueError);
}

TEST_SUITE_END();
