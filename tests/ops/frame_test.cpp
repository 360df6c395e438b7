#include <doctest/doctest.h>
#include <cmath>

#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/frame.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/frame");

namespace {

// Padded images cut into blocks of s x s pixels, as the docstring says; what does not fill a block
// is cut off.
Tensor blocks_of(const Tensor& padded, std::int64_t s) {
  const std::int64_t height = padded.dim(1) / s;
  const std::int64_t width = padded.dim(2) / s;
  const std::int64_t channels = padded.dim(3);
  Tensor y({padded.dim(0), height, width, s * s * channels}, padded.dtype());
  auto* out = y.write<double>();
  for (std::int64_t at = 0; at < y.size(); ++at) {
    const std::int64_t in_block = at % (s * s * channels);
    const std::int64_t block = at / (s * s * channels);
    const std::int64_t i = block / width % height * s + in_block / channels / s;
    const std::int64_t j = block % width * s + in_block / channels % s;
    const std::int64_t image = block / width / height;
    const std::int64_t pixel = (image * padded.dim(1) + i) * padded.dim(2) + j;
    out[at] = padded.at(pixel * channels + in_block % channels);
  }
  return y;
}

const Padding paddings[] = {{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 1, 2, 1}, {1, 0, 2, 0},
                            {0, 3, 0, 1}, {3, 3, 4, 4}, {0, 0, 3, 2}};

}  // namespace

TEST_CASE("unframed: is the transpose of framed, of whole rows and of blocks") {
  Rng rng(1);
  for (const PadMode mode : {PadMode::zero, PadMode::circular}) {
    for (const Padding& p : paddings) {
      for (const std::int64_t s : {1, 2, 3}) {
        for (const Shape& shape : {Shape{2, 3, 4, 3}, Shape{1, 5, 6, 1}, Shape{2, 4, 4, 16}}) {
          CAPTURE(shape);
          CAPTURE(s);
          const Frame frame(shape, p, mode);
          const Tensor x = random_normal(rng, shape, 1, DType::f64);
          const Tensor y = blocks_of(framed(frame, x), s);
          if (y.size() == 0) continue;
          const Tensor dy = random_normal(rng, y.shape(), 1, DType::f64);
          const Tensor dx = unframed(frame, dy, s);
          CHECK(dx.shape() == shape);
          CHECK(std::abs(dot(y, dy) - dot(x, dx)) < 1e-12 * (1 + std::abs(dot(y, dy))) * 10);
        }
      }
    }
  }
}

TEST_CASE("framed, unframed: one thread gives what several give; no images give none") {
  Rng rng(2);
  const int threads = num_threads();
  const Frame frame({40, 8, 8, 24}, {2, 1, 2, 1}, PadMode::circular);
  const Tensor x = random_normal(rng, frame.shape());
  const auto both = [&] {
    const Tensor y = framed(frame, x);
    Rng blocks = rng.stream("blocks");
    return Tensors{y, unframed(frame, y),
                   unframed(frame, random_normal(blocks, {40, 5, 5, 96}), 2)};
  };
  set_num_threads(1);
  const Tensors one = both();
  set_num_threads(3);
  const Tensors several = both();
  set_num_threads(threads);
  for (std::size_t i = 0; i < one.size(); ++i) CHECK(max_abs_diff(one[i], several[i]) == 0);

  const Frame none({0, 4, 4, 2}, {1, 1, 1, 1}, PadMode::circular);
  CHECK(framed(none, Tensor({0, 4, 4, 2})).shape() == Shape{0, 6, 6, 2});
  CHECK(unframed(none, Tensor({0, 6, 6, 2})).shape() == Shape{0, 4, 4, 2});
}

TEST_SUITE_END();
