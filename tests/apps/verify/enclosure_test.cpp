#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <complex>
#include <random>

#include <isotape/apps/verify/convolution_enclosure.hpp>
#include <isotape/apps/verify/matrix_enclosure.hpp>
#include <isotape/core/blas.hpp>

using namespace isotape;
using verify::Convolution;
using verify::Enclosure;

TEST_SUITE_BEGIN("apps/verify/enclosure");

namespace {

std::mt19937& randomness() {
  static std::mt19937 engine(17);
  return engine;
}
std::int64_t at_most(std::int64_t most) {
  return std::uniform_int_distribution<std::int64_t>(1, most)(randomness());
}

std::vector<float> normal(std::int64_t count, double scale) {
  std::normal_distribution<double> distribution;
  std::vector<float> numbers(count);
  for (float& number : numbers) number = static_cast<float>(scale * distribution(randomness()));
  return numbers;
}

// A singular value of an SVD in f64 is off by less than this part of the largest.
constexpr double svd_slack = 1e-13;

// Largest and smallest of a matrix, [m, n], by SVD.
Enclosure extremes(std::int64_t m, std::int64_t n, std::vector<double> a) {
  std::vector<double> values(std::min(m, n));
  blas::singular_values(m, n, a.data(), values.data());
  return {values.back(), values.front()};
}

void check_contains(const Enclosure& enclosure, const Enclosure& truth) {
  CAPTURE(enclosure.lower);
  CAPTURE(enclosure.upper);
  CAPTURE(truth.lower);
  CAPTURE(truth.upper);
  CHECK(enclosure.lower <= truth.lower + svd_slack * truth.upper);
  CHECK(enclosure.upper >= truth.upper * (1 - svd_slack));
}

// Rows (or columns, if there are more rows) that are orthonormal but for their rounding to f32.
std::vector<float> orthonormal(std::int64_t rows, std::int64_t columns) {
  const std::vector<float> start = normal(rows * columns, 1);
  std::vector<double> a(start.begin(), start.end());
  const std::int64_t r = std::min(rows, columns);
  std::vector<double> s(r);
  std::vector<double> u(rows * r);
  std::vector<double> vt(r * columns);
  blas::svd(rows, columns, a.data(), s.data(), u.data(), vt.data());
  std::vector<float> q(rows * columns);
  for (std::int64_t i = 0; i < rows; ++i) {
    std::vector<double> row(columns);
    for (std::int64_t k = 0; k < r; ++k) {
      for (std::int64_t j = 0; j < columns; ++j) row[j] += u[i * r + k] * vt[k * columns + j];
    }
    std::copy(row.begin(), row.end(), q.begin() + i * columns);
  }
  return q;
}

// The matrix of a convolution, [O H' W', I H W], by its definition, and its shape.
struct Operator {
  std::int64_t rows, columns;
  std::vector<double> entries;
};

Operator dense(const Convolution& c, const std::vector<float>& kernel, std::int64_t before) {
  const auto [height, width] = c.image;  // of the output
  const std::int64_t h = c.stride * height;
  const std::int64_t w = c.stride * width;
  const std::int64_t inputs = c.groups * c.inputs;
  Operator result{height * width * c.filters, h * w * inputs, {}};
  result.entries.resize(result.rows * result.columns);
  for (std::int64_t p = 0; p < height * width; ++p) {
    for (std::int64_t o = 0; o < c.filters; ++o) {
      for (std::int64_t e = 0; e < c.inputs * c.taps[0] * c.taps[1]; ++e) {
        const std::int64_t tap = e % (c.taps[0] * c.taps[1]);
        const std::int64_t i = o / (c.filters / c.groups) * c.inputs + e / (c.taps[0] * c.taps[1]);
        std::int64_t y = c.stride * (p / width) + c.dilation * (tap / c.taps[1]) - before;
        std::int64_t x = c.stride * (p % width) + c.dilation * (tap % c.taps[1]) - before;
        const bool inside = 0 <= y && y < h && 0 <= x && x < w;
        if (!inside && !c.circular) continue;
        y = (y % h + h) % h;
        x = (x % w + w) % w;
        const std::int64_t row = p * c.filters + o;
        result.entries[row * result.columns + (y * w + x) * inputs + i] +=
            static_cast<double>(kernel[o * c.inputs * c.taps[0] * c.taps[1] + e]);
      }
    }
  }
  return result;
}

std::vector<float> random_kernel(const Convolution& c, double scale) {
  return normal(c.filters * c.inputs * c.taps[0] * c.taps[1], scale);
}

}  // namespace

TEST_CASE("matrix_enclosure: contains the singular values of any shape at any scale") {
  for (int trial = 0; trial < 400; ++trial) {
    const std::int64_t rows = at_most(24);
    const std::int64_t columns = at_most(24);
    const double scale = std::pow(10.0, std::uniform_real_distribution<>(-30, 30)(randomness()));
    const std::vector<float> w = normal(rows * columns, scale);
    CAPTURE(rows);
    CAPTURE(columns);
    CAPTURE(scale);
    const Enclosure truth = extremes(rows, columns, {w.begin(), w.end()});
    const Enclosure enclosure = verify::matrix_enclosure(w, rows, columns);
    check_contains(enclosure, truth);
    CHECK(enclosure.upper <= truth.upper * 1.02);
  }
}

TEST_CASE("matrix_enclosure: within 1e-6 of 1 for orthonormal rows or columns in f32") {
  for (const auto& [rows, columns] :
       {std::pair<std::int64_t, std::int64_t>{1, 1}, {1, 100}, {64, 64}, {300, 100}, {256, 512}}) {
    for (const double scale : {1.0, 0x1p-90, 0x1p90}) {
      std::vector<float> w = orthonormal(rows, columns);
      for (float& entry : w) entry *= static_cast<float>(scale);
      const Enclosure enclosure = verify::matrix_enclosure(w, rows, columns);
      CHECK(enclosure.lower >= scale * (1 - 1e-6));
      CHECK(enclosure.upper <= scale * (1 + 1e-6));
      if (rows * columns > 50000) continue;
      check_contains(enclosure, extremes(rows, columns, {w.begin(), w.end()}));
    }
  }
}

TEST_CASE("matrix_enclosure: zeros, denormal numbers and the largest ones") {
  const Enclosure zero = verify::matrix_enclosure(std::vector<float>(6), 2, 3);
  CHECK(zero.lower == 0);
  CHECK(zero.upper >= 0);
  CHECK(zero.upper <= 1e-150);
  const Enclosure least = verify::matrix_enclosure(std::vector<float>{0x1p-149F}, 1, 1);
  CHECK(least.lower <= 0x1p-149);
  CHECK(least.lower >= 0x1.fffffp-150);
  CHECK(least.upper >= 0x1p-149);
  CHECK(least.upper <= 0x1.00001p-149);
  const Enclosure most = verify::matrix_enclosure(std::vector<float>{0x1p127F, 0x1p127F}, 1, 2);
  CHECK(most.lower <= std::sqrt(2.0) * 0x1p127);
  CHECK(most.upper >= std::sqrt(2.0) * 0x1p127);
  CHECK(most.upper <= std::sqrt(2.0) * 0x1.00001p127);
}

// 1 + 2^-54 + 2^-54 + ... is 1 in f64, term by term: sums of squares that are lost are charged.
TEST_CASE("enclosures: what the Gram matrix loses to rounding is in them") {
  std::vector<float> w(1001, 0x1p-27F);
  w[0] = 1;
  const double truth = 1 + 499 * 0x1p-54;  // < sqrt(1 + 1000 2^-54)
  CHECK(verify::matrix_enclosure(w, 1, 1001).upper >= truth);
  CHECK(verify::convolution_enclosure(
            {.filters = 1, .inputs = 1001, .taps = {1, 1}, .image = {4, 4}}, w)
            .upper >= truth);
}

TEST_CASE("symmetric_norm: bounds the norm at every number of squarings, ever closer") {
  const std::vector<double> d{2, 1, 1, 2};  // eigenvalues 3 and 1
  double before = 4;
  for (int squarings = 0; squarings <= 8; ++squarings) {
    const double bound = verify::symmetric_norm(2, d, squarings);
    CHECK(bound >= 3);
    CHECK(bound <= before);
    before = bound;
  }
  CHECK(before <= 3 * (1 + 1e-10));
  CHECK(verify::symmetric_norm(1, {NAN}, 2) == INFINITY);
  CHECK(verify::symmetric_norm(1, {INFINITY}, 2) == INFINITY);
  CHECK(verify::symmetric_norm(2, {0, 0, 0, 0}, 2) == 0);
  CHECK(verify::symmetric_norm(1, {-0x1p-1074}, 3) >= 0x1p-1074);
  CHECK(verify::symmetric_norm(1, {-0x1p1000}, 3) >= 0x1p1000);
}

TEST_CASE("convolution_enclosure: contains the singular values under either padding") {
  for (int trial = 0; trial < 300; ++trial) {
    Convolution c;
    c.groups = at_most(2);
    c.filters = c.groups * at_most(3);
    c.inputs = at_most(3);
    c.taps = {at_most(4), at_most(4)};
    c.image = {at_most(4), at_most(4)};  // kernels larger than it included
    c.stride = at_most(3);
    c.dilation = at_most(2);
    c.circular = trial % 2 == 0;
    const double scale = std::pow(10.0, std::uniform_real_distribution<>(-30, 30)(randomness()));
    const std::vector<float> kernel = random_kernel(c, scale);
    const Operator matrix = dense(c, kernel, at_most(3) - 1);
    CAPTURE(trial);
    const Enclosure truth = extremes(matrix.rows, matrix.columns, matrix.entries);
    const Enclosure enclosure = verify::convolution_enclosure(c, kernel);
    check_contains(enclosure, truth);
    // Of a dilated kernel an image meets a part of the frequencies only.
    if (c.circular && c.dilation == 1) CHECK(enclosure.upper <= truth.upper * 1.05);
  }
}

// The image is larger than the grid, so that the symbol is sampled between its frequencies.
TEST_CASE("convolution_enclosure: the sampled symbol is within a few percent of the supremum") {
  for (int trial = 0; trial < 20; ++trial) {
    Convolution c{.filters = 2, .inputs = 3, .taps = {3, 2}, .image = {500, 500}};
    const std::vector<float> kernel = random_kernel(c, 1);
    const Enclosure enclosure = verify::convolution_enclosure(c, kernel);
    // The norm at 12 x 12 pixels bounds the supremum from below.
    Convolution exact = c;
    exact.image = {12, 12};
    const Operator matrix = dense(exact, kernel, 1);
    const double norm = extremes(matrix.rows, matrix.columns, matrix.entries).upper;
    CHECK(enclosure.upper >= norm * (1 - svd_slack));
    CHECK(enclosure.upper <= norm * 1.08);
  }
}

// |1 - 0.44 z - 0.53 z^2| is largest between two points of the grid, where its square exceeds that
// at the points by a part of 0.0080; the norm of a power alone is too large by less than 0.0055.
TEST_CASE("convolution_enclosure: what lies between the points of the grid is covered") {
  const std::vector<float> kernel{1, -0.44F, -0.53F};
  double supremum = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::complex<double> z = std::polar(1.0, i * 1e-4);
    const std::complex<double> value =
        double{kernel[0]} + double{kernel[1]} * z + double{kernel[2]} * z * z;
    supremum = std::max(supremum, std::abs(value));
  }
  for (const bool across : {false, true}) {
    Convolution c{.filters = 1, .inputs = 1, .taps = {3, 1}, .image = {500, 500}};
    if (across) c.taps = {1, 3};
    const Enclosure enclosure = verify::convolution_enclosure(c, kernel);
    CHECK(enclosure.upper >= supremum);
    CHECK(enclosure.upper <= supremum * 1.03);
  }
}

// Products of a unitary change of channels and shifts by projectors are orthogonal [Xiao 2018].
std::vector<double> orthogonal_kernel(std::int64_t channels, std::int64_t taps) {
  const std::int64_t n = channels;
  const auto widen = [](const std::vector<float>& x) {
    return std::vector<double>(x.begin(), x.end());
  };
  std::vector<std::vector<double>> kernel(1, widen(orthonormal(n, n)));
  for (std::int64_t t = 1; t < taps; ++t) {
    const std::vector<double> basis = widen(orthonormal(n / 2, n));
    std::vector<double> projector(n * n);
    for (std::int64_t k = 0; k < n / 2; ++k) {
      for (std::int64_t e = 0; e < n * n; ++e) {
        projector[e] += basis[k * n + e / n] * basis[k * n + e % n];
      }
    }
    std::vector<std::vector<double>> longer(kernel.size() + 1, std::vector<double>(n * n));
    for (std::size_t a = 0; a < kernel.size(); ++a) {
      std::vector<double> part(n * n);
      for (std::int64_t e = 0; e < n * n; ++e) {
        for (std::int64_t k = 0; k < n; ++k) {
          part[e] += kernel[a][e / n * n + k] * projector[k * n + e % n];
        }
      }
      for (std::int64_t e = 0; e < n * n; ++e) {
        longer[a][e] += part[e];
        longer[a + 1][e] += kernel[a][e] - part[e];
      }
    }
    kernel = std::move(longer);
  }
  std::vector<double> flat;  // [n, n, taps, 1]
  for (std::int64_t e = 0; e < n * n; ++e) {
    for (const std::vector<double>& tap : kernel) flat.push_back(tap[e]);
  }
  return flat;
}

TEST_CASE("convolution_enclosure: within 1e-6 of 1 for orthogonal kernels in f32") {
  for (const std::int64_t channels : {2, 16, 64}) {
    const std::vector<double> kernel = orthogonal_kernel(channels, 4);
    const std::vector<float> rounded(kernel.begin(), kernel.end());
    for (const bool circular : {true, false}) {
      const Enclosure enclosure = verify::convolution_enclosure({.filters = channels,
                                                                 .inputs = channels,
                                                                 .taps = {4, 1},
                                                                 .image = {28, 28},
                                                                 .circular = circular},
                                                                rounded);
      CAPTURE(channels);
      CHECK(enclosure.upper <= 1 + 1e-6);
      CHECK(enclosure.upper >= 1 - 1e-6);
      CHECK(enclosure.lower == (circular ? doctest::Approx(1).epsilon(1e-6) : doctest::Approx(0)));
    }
  }
}

TEST_CASE("convolution_enclosure: a kernel of zeros") {
  const Enclosure enclosure = verify::convolution_enclosure(
      {.filters = 2, .inputs = 1, .taps = {3, 3}, .image = {4, 4}}, std::vector<float>(18));
  CHECK(enclosure.lower == 0);
  CHECK(enclosure.upper <= 1e-150);
}

TEST_SUITE_END();
