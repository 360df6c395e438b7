#include <doctest/doctest.h>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/fourier.hpp>
#include <isotape/ops/kernel_symbol.hpp>
#include <isotape/ops/matmul_complex.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/kernel_symbol");

namespace {

Tensor normal(const Shape& shape, std::uint64_t seed) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, DType::f64);
}

struct Case {
  Shape kernel;
  std::int64_t height, width;
};
const Case cases[] = {{{1, 1, 1, 1}, 1, 1}, {{2, 3, 3, 3}, 5, 5}, {{3, 2, 2, 2}, 4, 6},
                      {{2, 4, 3, 1}, 7, 4}, {{3, 3, 3, 2}, 2, 3}, {{2, 5, 5, 2}, 8, 8}};

}  // namespace

TEST_CASE("kernel_symbol: by frequency, the circular convolution, of any size of image") {
  for (const Case& c : cases) {
    const Shape& shape = c.kernel;
    const std::int64_t height = c.height;
    const std::int64_t width = c.width;
    CAPTURE(shape);
    const auto kh = static_cast<int>(shape[1]);
    const auto kw = static_cast<int>(shape[2]);
    const Tensor w = normal(shape, 1);
    const Tensor x = normal({2, height, width, shape[3]}, 2);
    const Var product = matmul_complex(fourier(x), kernel_symbol(w, height, width));
    const Tensor y = inverse_fourier(product, height, width).value();
    const Padding border{kh / 2, (kh - 1) / 2, kw / 2, (kw - 1) / 2};
    CHECK(max_abs_diff(y, conv2d(x, w, {}, {.border = border}).value()) < 1e-13);
  }
}

TEST_CASE("kernel_symbol: taps beyond the image wrap around it") {
  // Tap a of 7 acts on a ring of 2 as tap (a - 3) mod 2 does; of 5 taps behind it 1..5 are left.
  const Tensor w = normal({1, 7, 1, 1}, 3);
  Tensor wrapped = Tensor::zeros({1, 2, 1, 1}, DType::f64);
  for (int a = 0; a < 7; ++a) wrapped.write<double>()[(a - 3 + 1 + 4) % 2] += w.at(a);
  CHECK(max_abs_diff(kernel_symbol(w, 2, 1).value(), kernel_symbol(wrapped, 2, 1).value()) < 1e-15);
}

TEST_CASE("kernel_symbol: vjp is the adjoint and matches finite differences; f32 agrees") {
  for (const Case& c : cases) {
    const Shape& shape = c.kernel;
    const std::int64_t height = c.height;
    const std::int64_t width = c.width;
    CAPTURE(shape);
    const auto f = [&](const Var& kernel) { return kernel_symbol(kernel, height, width); };
    CHECK(adjoint_test("kernel_symbol", f, shape, DType::f64, 1e-14));
    CHECK(adjoint_test("kernel_symbol", f, shape, DType::f32, 1e-6));
    CHECK(gradcheck("kernel_symbol", [&](const Vars& in) { return f(in[0]); }, {normal(shape, 4)}));
    const Tensor w = normal(shape, 5);
    CHECK(max_abs_diff(f(w.to(DType::f32)).value().to(DType::f64), f(w).value()) < 1e-5);
  }
}

TEST_CASE("kernel_symbol: the same bits on any number of threads") {
  const Tensor w = normal({120, 3, 3, 90}, 6);
  const int threads = num_threads();
  set_num_threads(1);
  const Tensor one = kernel_symbol(w, 4, 5).value();
  set_num_threads(2);
  CHECK(max_abs_diff(kernel_symbol(w, 4, 5).value(), one) == 0);
  set_num_threads(threads);
}

TEST_CASE("kernel_symbol: rejects what is no kernel or image") {
  CHECK_THROWS_WITH_AS(kernel_symbol(Tensor({3, 3, 3}), 4, 4),
                       "kernel_symbol: expected w of shape [O, kh, kw, I], got [3, 3, 3]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(kernel_symbol(Tensor({1, 3, 3, 1}), 4, 0),
                       "kernel_symbol: expected an image of sides >= 1, got 4 x 0", ValueError);
}

TEST_SUITE_END();
