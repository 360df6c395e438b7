#include <doctest/doctest.h>

#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/pad.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/pad");

namespace {

// By the formula: every index on its own.
Tensor plain(const Tensor& x, const Padding& p, PadMode mode) {
  const std::int64_t height = x.dim(1);
  const std::int64_t width = x.dim(2);
  const std::int64_t channels = x.dim(3);
  Tensor y = Tensor::zeros(
      {x.dim(0), p.top + height + p.bottom, p.left + width + p.right, channels}, x.dtype());
  auto* out = y.write<double>();
  for (std::int64_t at = 0; at < y.size(); ++at) {
    std::int64_t i = at / channels / y.dim(2) % y.dim(1) - p.top;
    std::int64_t j = at / channels % y.dim(2) - p.left;
    if (mode == PadMode::circular) {
      i = (i + height) % height;
      j = (j + width) % width;
    }
    if (i < 0 || i >= height || j < 0 || j >= width) continue;
    const std::int64_t image = at / y.shape().inner(0);
    out[at] = x.data<double>()[((image * height + i) * width + j) * channels + at % channels];
  }
  return y;
}

const Padding paddings[] = {{0, 0, 0, 0}, {1, 1, 1, 1}, {0, 1, 0, 1}, {1, 0, 2, 0},
                            {2, 1, 0, 3}, {3, 3, 4, 4}, {0, 0, 1, 0}};

}  // namespace

TEST_CASE("pad: every entry is the one of the formula, up to padding by the whole image") {
  Rng rng(1);
  const Tensor x = random_normal(rng, {2, 3, 4, 5}, 1, DType::f64);
  for (const PadMode mode : {PadMode::zero, PadMode::circular}) {
    for (const Padding& p : paddings) {
      CAPTURE(p.top);
      CAPTURE(p.right);
      CHECK(max_abs_diff(pad(x, p, mode).value(), plain(x, p, mode)) == 0);
    }
  }
}

TEST_CASE("pad: vjp and jvp match finite differences") {
  Rng rng(2);
  for (const PadMode mode : {PadMode::zero, PadMode::circular}) {
    for (const Shape& shape : {Shape{2, 3, 4, 2}, Shape{1, 3, 4, 1}}) {
      for (const Padding& p : paddings) {
        const auto f = [&](const Vars& in) { return pad(in[0], p, mode); };
        CHECK(gradcheck("pad", f, {random_normal(rng, shape, 1, DType::f64)}));
      }
    }
  }
}

TEST_CASE("pad: vjp is the adjoint in f32") {
  for (const PadMode mode : {PadMode::zero, PadMode::circular}) {
    const auto f = [&](const Var& x) { return pad(x, {2, 1, 3, 2}, mode); };
    CHECK(adjoint_test("pad", f, {3, 4, 4, 5}, DType::f32, 1e-6));
    CHECK(adjoint_test("pad", f, {1, 3, 3, 1}, DType::f32, 1e-6));
  }
}

TEST_CASE("pad: one-pixel and empty images") {
  const Tensor x = Tensor::of({7}, {1, 1, 1, 1});
  CHECK(max_abs_diff(pad(x, {1, 1, 1, 1}, PadMode::circular).value(),
                     Tensor::full({1, 3, 3, 1}, 7)) == 0);
  CHECK(pad(Tensor({0, 4, 4, 2}), {1, 1, 1, 1}, PadMode::circular).shape() == Shape{0, 6, 6, 2});
  CHECK(max_abs(pad(Tensor({1, 0, 2, 1}), {1, 0, 0, 0}, PadMode::zero).value()) == 0);
}

TEST_CASE("pad: the same bits on one thread and on several") {
  Rng rng(3);
  const int threads = num_threads();
  const Tensor x = random_normal(rng, {16, 32, 32, 16});
  const auto run = [&](int n) {
    set_num_threads(n);
    Tape tape;
    const Var leaf = tape.leaf(x);
    const Var y = pad(leaf, {1, 2, 2, 1}, PadMode::circular);
    tape.backward(y, y.value().clone());
    return Tensors{y.value(), leaf.grad()};
  };
  const Tensors one = run(1);
  const Tensors several = run(3);
  set_num_threads(threads);
  CHECK(max_abs_diff(one[0], several[0]) == 0);
  CHECK(max_abs_diff(one[1], several[1]) == 0);
}

TEST_CASE("pad: rejects what it cannot pad") {
  CHECK_THROWS_WITH_AS(pad(Tensor({2, 3, 4}), {}, PadMode::zero),
                       "pad: expected x of shape [N, H, W, C], got [2, 3, 4]", ShapeError);
  CHECK_THROWS_WITH_AS(pad(Tensor({1, 2, 2, 1}), {1, 1, -1, 1}, PadMode::zero),
                       "pad: expected padding >= 0, got -1", ValueError);
  CHECK_THROWS_WITH_AS(pad(Tensor({1, 2, 5, 1}), {1, 3, 0, 0}, PadMode::circular),
                       "pad: expected circular padding within the image [1, 2, 5, 1], got top 1, "
                       "bottom 3, left 0, right 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(pad(Tensor({1, 2, 2, 1}, DType::u8), {}, PadMode::zero),
                       "pad: expected f32 or f64, got u8", ShapeError);
}

TEST_SUITE_END();
