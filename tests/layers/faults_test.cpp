// Faults injected into weights: each is seen by the proved limits, or refused.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/bcop.hpp>
#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/sequential.hpp>
#include <isotape/layers/soc.hpp>
#include <isotape/layers/spectrum.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/faults");

namespace {

Tensor orthogonal_kernel(std::uint64_t seed) {
  Rng rng(seed);
  const BcopConv2d layer(6, 6, 3, rng, {});
  return layer.folded_kernel();
}

// A convolution by one tap in the middle: the identity.
Tensor identity_kernel() {
  Tensor kernel = Tensor::zeros({2, 3, 3, 2});
  auto* taps = kernel.write<float>();
  for (const std::int64_t place : {8, 27}) taps[place] = 1;  // (0, 1, 1, 0) and (1, 1, 1, 1)
  return kernel;
}

}  // namespace

TEST_CASE("faults: one ulp of one tap moves the limits as it moves the norm") {
  Tensor kernel = identity_kernel();
  CHECK(kernel_enclosure(kernel).upper < 1 + 1e-12);
  CHECK(kernel_enclosure(kernel).lower > 1 - 1e-12);
  kernel.write<float>()[8] = std::nextafter(1.0F, 2.0F);
  CHECK(kernel_enclosure(kernel).upper >= 1 + 0x1p-23);
  kernel.write<float>()[8] = std::nextafter(1.0F, 0.0F);
  CHECK(kernel_enclosure(kernel).lower <= 1 - 0x1p-24);
  // And a tap that was zero, at any place: |(1, d)| for a row.
  kernel = identity_kernel();
  kernel.write<float>()[0] = 1e-3F;
  CHECK(kernel_enclosure(kernel).upper >= 1 + 0.99e-3);
}

TEST_CASE("faults: a singular value pushed to 1 + 1e-6 in one direction is in the limits") {
  Tensor kernel = orthogonal_kernel(3).to(DType::f64);
  const double before = kernel_enclosure(kernel).upper;
  CHECK(before < 1 + 5e-7);
  // One output channel times 1 + 1e-6: the row of that output has this norm at every frequency.
  const std::int64_t row = kernel.size() / kernel.dim(0);
  for (std::int64_t i = 0; i < row; ++i) kernel.write<double>()[2 * row + i] *= 1 + 1e-6;
  const double sigma = kernel_singular_values(kernel, 9, 9).front();
  CHECK(sigma > 1 + 9e-7);
  CHECK(kernel_enclosure(kernel).upper >= sigma);
}

TEST_CASE("faults: subnormal taps, in f32 and in f64, are within the limits") {
  const double least_f32 = std::numeric_limits<float>::denorm_min();
  Tensor small = Tensor::full({2, 3, 3, 2}, least_f32, DType::f32);
  CHECK(kernel_enclosure(small).upper >= 18 * least_f32);
  CHECK(kernel_enclosure(small).lower == 0);
  const Tensor smaller =
      Tensor::full({1, 2, 2, 1}, std::numeric_limits<double>::denorm_min(), DType::f64);
  CHECK(kernel_enclosure(smaller).upper >= 4 * std::numeric_limits<double>::denorm_min());
  CHECK(kernel_enclosure(smaller).lower == 0);
  // Beside taps of the usual size they change nothing, and are lost by nobody.
  Tensor mixed = identity_kernel();
  for (std::int64_t i = 0; i < mixed.size(); ++i) {
    if (mixed.at(i) == 0) mixed.write<float>()[i] = static_cast<float>(least_f32);
  }
  CHECK(kernel_enclosure(mixed).upper >= kernel_singular_values(mixed, 8, 8).front() * (1 - 1e-15));
}

TEST_CASE("faults: a kernel larger than the image, whose taps wrap, is within the limits") {
  Rng rng(5);
  for (const std::int64_t side : {1, 2, 3}) {
    const Tensor kernel = random_normal(rng, {3, 5, 5, 2}, 1, DType::f64);
    const Enclosure any = kernel_enclosure(kernel);
    const Enclosure here = kernel_enclosure_at(kernel, side, side);
    const std::vector<double> sigma = kernel_singular_values(kernel, side, side);
    for (const Enclosure& proved : {any, here}) {
      CHECK(proved.upper >= sigma.front() * (1 - 1e-14));
      CHECK(proved.lower <= sigma.back() + 1e-14 * sigma.front());
    }
  }
  // All 25 taps fall on the only pixel: their sum, 25 times one tap, not 3 times it.
  const Tensor ones = Tensor::full({1, 5, 5, 1}, 1, DType::f64);
  CHECK(kernel_enclosure_at(ones, 1, 1).upper >= 25);
}

TEST_CASE("faults: kernels and matrices without entries") {
  for (const Shape& shape : {Shape{0, 3, 3, 2}, {2, 3, 3, 0}, {2, 0, 3, 2}}) {
    CHECK_THROWS_AS(kernel_enclosure(Tensor(shape)), ShapeError);
    CHECK_THROWS_AS(kernel_enclosure_at(Tensor(shape), 4, 4), ShapeError);
  }
  Rng rng(1);
  CHECK_THROWS_AS(Linear(0, 3, Bjorck{}, rng), ValueError);
}

TEST_CASE("faults: a SOC series cut off early has the limits of what it computes") {
  Rng rng(6);
  for (const int terms : {1, 2, 3, 6}) {
    CAPTURE(terms);
    const Soc soc({.c_in = 4, .c_out = 4}, {.terms = terms}, rng);
    const std::vector<double> sigma = soc.spectrum({5, 5, 4}).sigma;
    const Enclosure proved = soc.enclosure();
    CHECK(proved.upper >= sigma.front());
    CHECK(proved.lower <= sigma.back());
    // The cut is real: 12 terms are orthogonal to 5e-6, these are not.
    if (terms == 2) CHECK(sigma.front() > 1.05);
  }
}

TEST_CASE("faults: a bias that is no number leaves nothing proved") {
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    Rng rng(7);
    Linear layer(4, 3, Bjorck{}, rng);
    layer.parameters()[1].parameter->write() = Tensor::full({3}, bad);
    CHECK_THROWS_WITH_AS(layer.lipschitz_bound(),
                         "linear: expected a finite bias, got NaN or infinity", NumericError);
    Sequential net;
    net.add("fc", std::move(layer));
    CHECK_THROWS_WITH_AS(net.proof(), "fc: linear: expected a finite bias, got NaN or infinity",
                         NumericError);
  }
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("slow/enclosure_width");

TEST_CASE("enclosure: at most 1e-5 wide for orthogonal layers up to 1024") {
  Rng rng(8);
  for (const std::int64_t n : {256, 1024}) {
    const Linear dense(n, n, Bjorck{}, rng);
    const Enclosure e = dense.enclosure();
    const std::vector<double> sigma = singular_values(dense.weight().folded());
    CHECK(e.upper >= sigma.front());
    CHECK(e.lower <= sigma.back());
    CHECK(e.upper - e.lower <= 1e-5);
  }
  for (const std::int64_t c : {64, 256}) {
    const BcopConv2d conv(c, c, 3, rng, {});
    const Enclosure e = conv.enclosure();
    CHECK(e.lower <= 1);
    CHECK(e.upper - e.lower <= 1e-5);
    MESSAGE("bcop ", c, " channels: [1 - ", 1 - e.lower, ", 1 + ", e.upper - 1, "]");
  }
}

TEST_SUITE_END();
