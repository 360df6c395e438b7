#include <doctest/doctest.h>
#include <cmath>
#include <complex>
#include <numbers>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/fourier.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/fourier");

namespace {

const Shape shapes[] = {{1, 1, 1, 1}, {2, 1, 2, 3}, {1, 2, 1, 1}, {2, 3, 3, 2}, {1, 4, 4, 1},
                        {2, 4, 7, 3}, {1, 7, 4, 2}, {1, 5, 6, 1}, {2, 8, 8, 2}, {1, 11, 13, 2}};

Tensor normal(const Shape& shape, std::uint64_t seed) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, DType::f64);
}

// By the formula.
Tensor plain(const Tensor& x) {
  const std::int64_t n = x.dim(0);
  const std::int64_t h = x.dim(1);
  const std::int64_t w = x.dim(2);
  const std::int64_t c = x.dim(3);
  Tensor y({fourier_frequencies(h, w), n, c, 2}, DType::f64);
  for (std::int64_t at = 0; at < y.size() / 2; ++at) {
    const std::int64_t f = at / (n * c);
    const std::int64_t image = at / c % n;
    std::complex<double> sum = 0;
    for (std::int64_t i = 0; i < h; ++i) {
      for (std::int64_t j = 0; j < w; ++j) {
        const double turns = double(f / w * i % h) / double(h) + double(f % w * j % w) / double(w);
        sum += x.at(((image * h + i) * w + j) * c + at % c) *
               std::polar(1.0, -2 * std::numbers::pi * turns);
      }
    }
    sum *= std::sqrt((2 * (f / w) % h == 0 ? 1.0 : 2.0) / double(h * w));
    y.write<double>()[2 * at] = sum.real();
    y.write<double>()[2 * at + 1] = sum.imag();
  }
  return y;
}

}  // namespace

TEST_CASE("fourier: the sum of the formula, for even, odd and prime sides") {
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    const Tensor x = normal(shape, 3);
    const Tensor y = fourier(x).value();
    CHECK(max_abs_diff(y, plain(x)) < 1e-13);
    CHECK(max_abs_diff(fourier(x.to(DType::f32)).value().to(DType::f64), y) < 1e-5);
  }
}

TEST_CASE("fourier: an isometry, which inverse_fourier inverts") {
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    const Tensor x = normal(shape, 4);
    const Tensor y = fourier(x).value();
    CHECK(std::abs(frobenius_norm(y) / frobenius_norm(x) - 1) < 1e-14);
    CHECK(max_abs_diff(inverse_fourier(y, shape[1], shape[2]).value(), x) < 1e-13);
  }
}

TEST_CASE("inverse_fourier: at most as long as the spectrum, of a real image or not") {
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    const Tensor y = normal({fourier_frequencies(shape[1], shape[2]), shape[0], shape[3], 2}, 5);
    const Tensor x = inverse_fourier(y, shape[1], shape[2]).value();
    CHECK(frobenius_norm(x) < frobenius_norm(y));
    // On what fourier gives it is the inverse, so that doing both again changes nothing.
    CHECK(max_abs_diff(inverse_fourier(fourier(x), shape[1], shape[2]).value(), x) < 1e-13);
  }
}

TEST_CASE("fourier, inverse_fourier: adjoint to their gradients, in f64 and f32") {
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    const Shape spectrum{fourier_frequencies(shape[1], shape[2]), shape[0], shape[3], 2};
    const auto back = [&](const Var& y) { return inverse_fourier(y, shape[1], shape[2]); };
    CHECK(adjoint_test("fourier", fourier, shape, DType::f64, 1e-14));
    CHECK(adjoint_test("fourier", fourier, shape, DType::f32, 1e-5));
    CHECK(adjoint_test("inverse_fourier", back, spectrum, DType::f64, 1e-14));
    CHECK(adjoint_test("inverse_fourier", back, spectrum, DType::f32, 1e-5));
    if (shape[1] > 4) continue;
    CHECK(gradcheck("fourier", [](const Vars& in) { return fourier(in[0]); }, {normal(shape, 6)}));
    CHECK(gradcheck("inverse_fourier", [&](const Vars& in) { return back(in[0]); },
                    {normal(spectrum, 7)}));
  }
}

TEST_CASE("fourier: the same bits on any number of threads") {
  const Tensor x = normal({5, 6, 5, 3}, 8).to(DType::f32);
  const int threads = num_threads();
  set_num_threads(1);
  const Tensor one = fourier(x).value();
  const Tensor back_one = inverse_fourier(one, 6, 5).value();
  set_num_threads(2);
  CHECK(max_abs_diff(fourier(x).value(), one) == 0);
  CHECK(max_abs_diff(inverse_fourier(one, 6, 5).value(), back_one) == 0);
  set_num_threads(threads);
}

TEST_CASE("fourier: rejects what it cannot transform") {
  CHECK_THROWS_WITH_AS(fourier(Tensor({2, 3, 3})),
                       "fourier: expected images [N, H, W, C], H and W >= 1, got [2, 3, 3]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(inverse_fourier(Tensor({8, 1, 1, 2}), 3, 3),
                       "inverse_fourier: expected spectra [6, N, C, 2] of images 3 x 3, got [8, 1, "
                       "1, 2]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(inverse_fourier(Tensor({8, 1, 1, 2}), 0, 3),
                       "inverse_fourier: expected an image of sides >= 1, got 0 x 3", ValueError);
}

TEST_SUITE_END();
