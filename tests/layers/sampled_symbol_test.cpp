#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/sampled_symbol.hpp>
#include <isotape/layers/spectrum.hpp>
#include <isotape/layers/symbol.hpp>
#include <isotape/ops/block_conv.hpp>

#include "support/exact_svd.hpp"

using namespace isotape;

namespace {

Tensor gaussian(const Shape& shape, std::uint64_t seed, double scale = 1) {
  Rng rng(seed);
  return random_normal(rng, shape, scale, DType::f64);
}

// The circular convolution on an m x n image as a matrix of 100 digits, taps that wrap added up.
std::vector<Exact> exact_circular(const Tensor& kernel, std::int64_t m, std::int64_t n) {
  const Shape& k = kernel.shape();
  const auto at = [&](std::int64_t r, std::int64_t c, std::int64_t channel, std::int64_t channels) {
    return (((r % m + m) % m) * n + (c % n + n) % n) * channels + channel;
  };
  ExactMatrix columns(static_cast<std::size_t>(m * n * k[3]),
                      std::vector<Exact>(static_cast<std::size_t>(m * n * k[0]), Exact(0)));
  for (std::int64_t e = 0; e < kernel.size(); ++e) {
    const std::int64_t i = e % k[3];
    const std::int64_t c = e / k[3] % k[2];
    const std::int64_t r = e / (k[3] * k[2]) % k[1];
    const std::int64_t o = e / (k[3] * k[2] * k[1]);
    for (std::int64_t row = 0; row < m; ++row) {
      for (std::int64_t column = 0; column < n; ++column) {
        columns[at(row + r, column + c, i, k[3])][at(row, column, o, k[0])] += kernel.at(e);
      }
    }
  }
  if (k[3] * m * n <= k[0] * m * n) return exact_singular_values(std::move(columns));
  ExactMatrix rows(columns.front().size(), std::vector<Exact>(columns.size()));
  for (std::size_t i = 0; i < columns.size(); ++i) {
    for (std::size_t j = 0; j < rows.size(); ++j) rows[j][i] = columns[i][j];
  }
  return exact_singular_values(std::move(rows));
}

void check_contains(const Tensor& kernel, std::int64_t m, std::int64_t n) {
  const std::vector<Exact> sigma = exact_circular(kernel, m, n);
  const Enclosure any = kernel_enclosure(kernel);
  const Enclosure here = kernel_enclosure_at(kernel, m, n);
  CAPTURE(kernel.shape());
  CAPTURE(max_abs(kernel));
  CHECK(any.upper >= sigma.front());
  CHECK(any.lower <= sigma.back());
  CHECK(here.upper >= sigma.front());
  CHECK(here.lower <= sigma.back());
  CHECK(here.upper <= sigma.front() * (1 + Exact(1e-8)));
  CHECK(here.lower * Exact(here.lower) >=
        sigma.back() * sigma.back() - Exact(1e-8) * sigma.front() * sigma.front());
}

void run(std::uint64_t seed, int trials) {
  Rng rng(seed);
  for (int trial = 0; trial < trials; ++trial) {
    const auto extent = [&](int most) { return static_cast<std::int64_t>(1 + rng.below(most)); };
    const Shape shape{extent(2), extent(3), extent(3), extent(2)};
    const double scale = std::pow(10.0, 60 * rng.uniform() - 30);
    Tensor kernel = random_normal(rng, shape, scale, DType::f64);
    if (rng.below(3) == 0) kernel = Tensor::full(shape, scale, DType::f64);
    check_contains(kernel, extent(3), extent(3));
  }
}

}  // namespace

TEST_SUITE_BEGIN("layers/sampled_symbol");

TEST_CASE("kernel_enclosure: holds the singular values of 100 digits, scales 1e-30 to 1e30") {
  run(31, 60);
}

TEST_CASE("grid_enclosure: holds what SVD measures at the image's frequencies, within 1e-8") {
  for (const Shape& shape : {Shape{6, 3, 3, 5}, {4, 2, 2, 16}, {9, 5, 5, 3}, {8, 1, 1, 8}}) {
    for (const Shape& image : {Shape{6, 6}, {5, 8}, {1, 2}, {2, 2}}) {
      CAPTURE(shape);
      CAPTURE(image);
      const Tensor kernel = gaussian(shape, 5);
      const std::vector<double> sigma = kernel_singular_values(kernel, image[0], image[1]);
      const Enclosure proved = grid_enclosure(kernel, image[0], image[1]);
      CHECK(proved.upper >= sigma.front() * (1 - 1e-13));
      CHECK(proved.lower <= sigma.back() + 1e-13 * sigma.front());
      CHECK(proved.upper <= sigma.front() * (1 + 1e-8));
      CHECK(proved.lower * proved.lower >=
            sigma.back() * sigma.back() - 1e-8 * sigma.front() * sigma.front());
    }
  }
}

TEST_CASE("sampled_enclosure: holds between the points, from few of them as from many") {
  // 24 points per axis see the supremum to a part in a thousand; 4 times the degree do not.
  for (const Shape& shape :
       {Shape{2, 3, 3, 2}, {3, 2, 4, 2}, {1, 5, 5, 1}, {4, 3, 1, 4}, {1, 1, 7, 2}}) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      CAPTURE(shape);
      const Tensor kernel = gaussian(shape, seed);
      const std::vector<double> dense = kernel_singular_values(kernel, 60, 60);
      double last = 2 * dense.front();
      for (const std::int64_t times : {3, 4, 8, 16}) {
        const Enclosure proved =
            sampled_enclosure(kernel, std::max<std::int64_t>(1, times * (shape[1] - 1)),
                              std::max<std::int64_t>(1, times * (shape[2] - 1)));
        CHECK(proved.upper >= dense.front());
        CHECK(proved.lower <= dense.back());
        CHECK(proved.upper <= last * (1 + 1e-9));
        last = proved.upper * 1.02;  // a grid may happen to miss the supremum less
      }
      CHECK(last <= 1.05 * dense.front());
    }
  }
}

TEST_CASE("sampled_enclosure: a supremum in the middle between the points is covered") {
  // |1 + exp(i theta) exp(-i pi / N)|^2 = 2 + 2 cos(theta - pi / N): degree 1, the supremum 4 half
  // a step beside every point. The tap is complex: as a real 2 x 2 matrix.
  for (const std::int64_t points : {3, 4, 8, 32}) {
    const double angle = std::numbers::pi / static_cast<double>(points);
    const double c = std::cos(angle);
    const double s = std::sin(angle);
    const Tensor kernel = Tensor::of({1, 0, c, s, 0, 1, -s, c}, {2, 1, 2, 2}, DType::f64);
    CHECK(grid_enclosure(kernel, 1, points).upper < 2);
    const Enclosure proved = sampled_enclosure(kernel, 1, points);
    CHECK(proved.upper >= 2 * (1 - 1e-15));
  }
}

TEST_CASE("sampled_enclosure: rejects too few points") {
  CHECK_THROWS_WITH_AS(sampled_enclosure(gaussian({1, 3, 3, 1}, 1), 4, 5),
                       "sampled_enclosure: expected more than 4 x 4 points, got 4 x 5", ValueError);
}

TEST_CASE("symbol_rounding: above the distance to the symbol in long double, and small") {
  const Tensor kernel = gaussian({3, 3, 4, 2}, 9);
  const double proved = symbol_rounding(kernel);
  CHECK(proved < 1e-12 * frobenius_norm(kernel));
  for (const Frequency& f : half_spectrum(7, 9)) {
    const Tensor found = symbol_at(kernel, f, 7, 9);
    long double square = 0;
    for (std::int64_t o = 0; o < 3; ++o) {
      for (std::int64_t i = 0; i < 2; ++i) {
        long double re = 0;
        long double im = 0;
        for (std::int64_t a = 0; a < 12; ++a) {
          const long double turns = static_cast<long double>(f.u * (a / 4) % 7) / 7 +
                                    static_cast<long double>(f.v * (a % 4) % 9) / 9;
          const long double angle = 2 * std::numbers::pi_v<long double> * turns;
          re += kernel.at((o * 12 + a) * 2 + i) * std::cos(angle);
          im += kernel.at((o * 12 + a) * 2 + i) * std::sin(angle);
        }
        const long double dre = found.at((o * 2 + i) * 2) - re;
        const long double dim = found.at((o * 2 + i) * 2 + 1) - im;
        square += dre * dre + dim * dim;
      }
    }
    CHECK(std::sqrt(square) <= proved);
  }
}

TEST_CASE("kernel_enclosure: within 3 % of the norm where there is no structure to help") {
  for (const Shape& shape : {Shape{16, 3, 3, 16}, {24, 3, 3, 12}, {8, 5, 5, 8}, {12, 4, 4, 12}}) {
    const Tensor kernel = gaussian(shape, 3);
    const double norm = kernel_singular_values(kernel, 48, 48).front();
    const double bound = conv_norm_bound(kernel);
    CAPTURE(shape);
    CHECK(bound >= norm);
    CHECK(bound <= 1.03 * norm);
  }
}

TEST_CASE("kernel_enclosure_at: strides, groups, orthogonal kernels, and its errors") {
  const Tensor kernel = gaussian({4, 4, 4, 2}, 13);
  const Enclosure here = kernel_enclosure_at(kernel, 8, 12, 2, 2);
  const std::vector<double> sigma = kernel_singular_values(kernel, 8, 12, 2, 2);
  CHECK(here.upper >= sigma.front() * (1 - 1e-13));
  CHECK(here.upper <= sigma.front() * (1 + 1e-8));
  CHECK(here.lower <= sigma.back() * (1 + 1e-10));
  CHECK(here.lower >= sigma.back() * (1 - 1e-6));
  CHECK_THROWS_WITH_AS(
      kernel_enclosure_at(kernel, 7, 12, 2, 2),
      "kernel_enclosure_at: expected image extents divisible by the stride 2, got 7 x 12",
      ShapeError);
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("slow/sampled_symbol");

TEST_CASE("kernel_enclosure: holds those of 3000 kernels of 100 digits") { run(32, 3000); }

TEST_SUITE_END();
