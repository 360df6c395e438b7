#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/layers/spectrum.hpp>
#include <isotape/ops/block_conv.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/spectrum");

namespace {

struct Geometry {
  bool circular = true;
  std::int64_t stride = 1;
  std::int64_t groups = 1;
  std::int64_t dilation = 1;
};

// y[t] = sum_a w[a] x[s t + r (a - k/2)] on x [h, w, c_in], as many outputs as ceil(extent / s).
Tensor convolve(const Tensor& x, const Tensor& kernel, const Geometry& g) {
  const std::int64_t h = x.dim(0);
  const std::int64_t w = x.dim(1);
  const std::int64_t per_group = kernel.dim(3);
  const std::int64_t c_out = kernel.dim(0);
  Tensor y = Tensor::zeros({(h + g.stride - 1) / g.stride, (w + g.stride - 1) / g.stride, c_out},
                           DType::f64);
  const auto at = [](std::int64_t i, std::int64_t n) { return ((i % n) + n) % n; };
  for (std::int64_t r = 0; r < y.dim(0); ++r) {
    for (std::int64_t s = 0; s < y.dim(1); ++s) {
      for (std::int64_t a = 0; a < kernel.dim(1); ++a) {
        for (std::int64_t b = 0; b < kernel.dim(2); ++b) {
          const std::int64_t row = g.stride * r + g.dilation * (a - kernel.dim(1) / 2);
          const std::int64_t column = g.stride * s + g.dilation * (b - kernel.dim(2) / 2);
          const bool inside = 0 <= row && row < h && 0 <= column && column < w;
          if (!g.circular && !inside) continue;
          const double* pixel =
              x.data<double>() + (at(row, h) * w + at(column, w)) * per_group * g.groups;
          for (std::int64_t o = 0; o < c_out; ++o) {
            const double* tap =
                kernel.data<double>() + ((o * kernel.dim(1) + a) * kernel.dim(2) + b) * per_group;
            const std::int64_t first = o / (c_out / g.groups) * per_group;
            double sum = 0;
            for (std::int64_t i = 0; i < per_group; ++i) sum += tap[i] * pixel[first + i];
            y.write<double>()[(r * y.dim(1) + s) * c_out + o] += sum;
          }
        }
      }
    }
  }
  return y;
}

std::vector<double> dense_values(const Tensor& kernel, const Shape& image, const Geometry& g) {
  return singular_values(dense_operator(
      [&](const Var& x) { return Var(convolve(x.value(), kernel.to(DType::f64), g)); },
      {image[0], image[1], kernel.dim(3) * g.groups}, DType::f64));
}

Tensor gaussian(const Shape& shape, std::uint64_t seed) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, DType::f64);
}

Tensor bcop(std::int64_t k, std::int64_t c_in, std::int64_t c_out, DType dtype) {
  Rng rng(5);
  const std::int64_t c = std::max(c_in, c_out);
  return bcop_kernel(random_orthogonal(rng, {2 * k - 1, c, c}, 1, dtype), c_in, c_out).value();
}

const std::vector<Shape> kernels = {{3, 3, 3, 2}, {2, 3, 3, 3}, {2, 2, 2, 2}, {2, 1, 3, 2},
                                    {1, 4, 4, 2}, {3, 1, 1, 3}, {2, 5, 5, 1}};
const std::vector<Shape> images = {{6, 6}, {5, 7}, {1, 1}, {2, 3}, {1, 4}};

}  // namespace

TEST_CASE("kernel_singular_values: those of the dense circular operator, also of small images") {
  // A DFT that crops a kernel larger than the image reports values of another operator.
  for (const Shape& shape : kernels) {
    for (const Shape& image : images) {
      CAPTURE(shape);
      CAPTURE(image);
      const Tensor kernel = gaussian(shape, 3);
      const std::vector<double> dense = dense_values(kernel, image, {});
      const std::vector<double> values = kernel_singular_values(kernel, image[0], image[1]);
      REQUIRE(values.size() == dense.size());
      for (std::size_t i = 0; i < values.size(); ++i) {
        CHECK(std::abs(values[i] - dense[i]) < 1e-12 * dense[0]);
      }
    }
  }
}

TEST_CASE("kernel_singular_values: a 3 x 3 orthogonal kernel stays orthogonal on a 2 x 2 image") {
  for (const Shape& image : images) {
    for (const Shape& channels : {Shape{3, 3}, {4, 2}, {2, 4}}) {
      const std::vector<double> sigma =
          kernel_singular_values(bcop(3, channels[0], channels[1], DType::f64), image[0], image[1]);
      CHECK(std::abs(sigma.front() - 1) < 1e-12);
      CHECK(std::abs(sigma.back() - 1) < 1e-12);
    }
  }
}

TEST_CASE("kernel_singular_values: strides and groups") {
  for (const Shape& image : {Shape{6, 6}, {4, 8}, {2, 2}}) {
    const Tensor kernel = gaussian({4, 3, 3, 2}, 7);
    const std::vector<double> dense = dense_values(kernel, image, {.stride = 2, .groups = 2});
    const std::vector<double> values = kernel_singular_values(kernel, image[0], image[1], 2, 2);
    REQUIRE(values.size() == dense.size());
    for (std::size_t i = 0; i < values.size(); ++i) CHECK(std::abs(values[i] - dense[i]) < 1e-12);
  }
}

TEST_CASE("kernel_enclosure: holds for circular and zero padding at every size") {
  for (const Shape& shape : kernels) {
    const Tensor kernel = gaussian(shape, 11);
    const Enclosure proved = kernel_enclosure(kernel);
    CHECK(proved.upper == conv_norm_bound(kernel));
    double largest = 0;
    for (const Shape& image : images) {
      for (const bool circular : {true, false}) {
        for (const std::int64_t dilation : {1, 2}) {
          CAPTURE(shape);
          CAPTURE(image);
          CAPTURE(circular);
          const std::vector<double> sigma =
              dense_values(kernel, image, {.circular = circular, .dilation = dilation});
          CHECK(sigma.front() <= proved.upper);
          if (circular) CHECK(sigma.back() >= proved.lower);
          largest = std::max(largest, sigma.front());
        }
      }
    }
    CHECK(proved.upper < 3 * largest);
  }
}

TEST_CASE("kernel_enclosure: holds with strides and groups") {
  for (const std::int64_t stride : {2, 3}) {
    for (const std::int64_t groups : {1, 2}) {
      const Tensor kernel = gaussian({4, 4, 4, 4 / groups}, 13);
      const double bound = conv_norm_bound(kernel, stride, groups);
      CHECK(bound < conv_norm_bound(kernel, 1, groups));
      for (const Shape& image : {Shape{6, 6}, {5, 7}, {1, 1}, {12, 6}}) {
        const bool divides = image[0] % stride == 0 && image[1] % stride == 0;
        const Geometry g{.circular = divides, .stride = stride, .groups = groups};
        CHECK(dense_values(kernel, image, g).front() <= bound);
        const Geometry zero{.circular = false, .stride = stride, .groups = groups};
        CHECK(dense_values(kernel, image, zero).front() <= bound);
      }
    }
  }
}

TEST_CASE("conv_norm_bound: a stride that does not divide a circular image is outside the proof") {
  // Pixels meet the kernel once per wrap more: [1 1] / sqrt(2) at stride 2 is an isometry on even
  // images, and has norm sqrt(3/2) on three pixels.
  const Tensor kernel = Tensor::full({1, 1, 2, 1}, std::sqrt(0.5), DType::f64);
  CHECK(conv_norm_bound(kernel, 2) < 1 + 1e-12);
  CHECK(dense_values(kernel, {2, 4}, {.stride = 2}).front() == doctest::Approx(1));
  CHECK(dense_values(kernel, {2, 3}, {.stride = 2}).front() > 1.2);
}

TEST_CASE("kernel_enclosure: is tight for orthogonal kernels") {
  for (const Shape& channels : {Shape{8, 8}, {24, 16}, {16, 32}}) {
    for (std::int64_t k = 1; k <= 4; ++k) {
      CAPTURE(k);
      const Enclosure exact = kernel_enclosure(bcop(k, channels[0], channels[1], DType::f64));
      CHECK(exact.upper >= 1);
      CHECK(exact.upper < 1 + 1e-10);
      CHECK(exact.lower > 1 - 1e-10);
      const Tensor single = bcop(k, channels[0], channels[1], DType::f32);
      const Enclosure rounded = kernel_enclosure(single);
      const std::vector<double> sigma = kernel_singular_values(single, 6, 6);
      CHECK(rounded.upper >= sigma.front());
      CHECK(rounded.lower <= sigma.back());
      CHECK(rounded.upper < sigma.front() + 1e-5);
      CHECK(rounded.lower > sigma.back() - 1e-5);
    }
  }
}

TEST_CASE("kernel_enclosure: an orthogonal kernel rounded to f32, and scaled, stays within 3e-7") {
  const Tensor folded = bcop(3, 24, 24, DType::f64).to(DType::f32);
  const Enclosure rounded = kernel_enclosure(folded);
  CHECK(rounded.upper < 1 + 3e-7);
  CHECK(rounded.lower > 1 - 3e-7);
  Tensor scaled = folded.clone();
  add_in_place(scaled, folded, 2);
  CHECK(kernel_enclosure(scaled).upper < 3 + 9e-7);
  CHECK(kernel_enclosure(scaled).lower > 3 - 9e-7);
}

TEST_CASE("conv_norm_bound: a reshaped orthogonal matrix over k has norm at most 1") {
  for (const Shape& shape : {Shape{4, 3, 3, 2}, {6, 3, 3, 6}, {18, 3, 3, 2}, {2, 3, 3, 8}}) {
    Rng rng(19);
    const Tensor w = random_orthogonal(rng, {shape[0], 9 * shape[3]}, 1.0 / 3, DType::f64);
    const double bound = conv_norm_bound(w.reshaped(shape));
    CAPTURE(shape);
    CHECK(bound <= 1 + 1e-12);
    CHECK(bound >= kernel_singular_values(w.reshaped(shape), 6, 7).front());
  }
}

TEST_CASE("kernel_enclosure: never below the norm of a kernel that attains it") {
  // One entry, all entries equal, and scales far from 1: the norm is known exactly.
  for (const double scale : {1e-200, 1e-30, 1e-3, 1.0, 3.0, 1e30}) {
    const Tensor one = Tensor::full({1, 1, 1, 1}, scale, DType::f64);
    CHECK(conv_norm_bound(one) >= scale);
    CHECK(conv_norm_bound(one) <= scale * (1 + 1e-12) + 1e-140);
    const Tensor ones = Tensor::full({2, 3, 3, 2}, scale, DType::f64);
    CHECK(conv_norm_bound(ones) >= 18 * scale);
    CHECK(conv_norm_bound(ones) <= 18 * scale * (1 + 1e-11) + 1e-140);
  }
  const Tensor zero = Tensor::zeros({2, 3, 3, 2});
  CHECK(conv_norm_bound(zero) < 1e-100);
  CHECK(kernel_enclosure(zero).lower == 0);
}

TEST_CASE("kernel_singular_values: one and two threads agree") {
  const Tensor kernel = gaussian({6, 3, 3, 5}, 17);
  const int threads = num_threads();
  set_num_threads(1);
  const std::vector<double> one = kernel_singular_values(kernel, 7, 8);
  set_num_threads(2);
  CHECK(kernel_singular_values(kernel, 7, 8) == one);
  set_num_threads(threads);
}

TEST_CASE("spectrum: rejects what has none") {
  CHECK_THROWS_WITH_AS(
      kernel_singular_values(Tensor({3, 3, 2}), 6, 6),
      "kernel_singular_values: expected a kernel of shape [O, h, w, I], got [3, 3, 2]", ShapeError);
  const Tensor kernel = gaussian({3, 3, 3, 2}, 1);
  CHECK_THROWS_WITH_AS(kernel_singular_values(kernel, 0, 6),
                       "kernel_singular_values: expected an image of at least 1 x 1, got 0 x 6",
                       ValueError);
  CHECK_THROWS_WITH_AS(
      kernel_singular_values(kernel, 5, 6, 2),
      "kernel_singular_values: expected image extents divisible by the stride 2, got 5 x 6",
      ShapeError);
  CHECK_THROWS_WITH_AS(conv_norm_bound(kernel, 0),
                       "kernel_enclosure: expected stride, groups >= 1, got 0 and 1", ValueError);
  CHECK_THROWS_WITH_AS(conv_norm_bound(kernel, 1, 2),
                       "kernel_enclosure: expected groups that divide 3 outputs, got 2",
                       ShapeError);
  CHECK_THROWS_WITH_AS(conv_norm_bound(Tensor::full({1, 1, 1, 1}, 1e200, DType::f64)),
                       "kernel_enclosure: expected a kernel with a finite Gram kernel, got a "
                       "largest entry of 1e+200",
                       NumericError);
  CHECK_THROWS_WITH_AS(
      conv_norm_bound(Tensor::full({1, 1, 1, 1}, std::numeric_limits<double>::quiet_NaN())),
      "kernel_enclosure: expected finite entries, got a kernel of shape [1, 1, 1, 1] with NaN or "
      "infinity",
      NumericError);
}

TEST_SUITE_END();
