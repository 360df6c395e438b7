#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include <isotape/core/gradcheck.hpp>
#include <isotape/ops/spectral.hpp>

#include "spectrum.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("ops/spectral");

TEST_CASE("spectral_norm: converges to the largest singular value from below") {
  Rng rng(1);
  for (const Shape& shape : {Shape{9, 9}, Shape{20, 5}, Shape{5, 20}, Shape{1, 4}, Shape{4, 1}}) {
    const std::int64_t n = std::min(shape[0], shape[1]);
    const Tensor w = with_spectrum(rng, shape[0], shape[1], geometric(n, 30));
    double before = 0;
    for (const int iterations : {1, 3, 10, 100}) {
      Rng start(7);
      const SpectralEstimate estimate = spectral_norm(w, iterations, start);
      CHECK(estimate.sigma <= 1 + 1e-14);
      CHECK(estimate.sigma >= before - 1e-14);
      CHECK(estimate.iterations == iterations);
      CHECK(frobenius_norm(estimate.u) == doctest::Approx(1));
      CHECK(frobenius_norm(estimate.v) == doctest::Approx(1));
      before = estimate.sigma;
    }
    CHECK(before == doctest::Approx(1).epsilon(1e-12));
    Rng start(7);
    CHECK(spectral_norm(w.to(DType::f32), 100, start).sigma == doctest::Approx(1).epsilon(1e-6));
  }
}

TEST_CASE("spectral_norm: goes on from the vectors it is given") {
  Rng rng(2);
  const Tensor w = with_spectrum(rng, 8, 8, geometric(8, 2));
  Rng start(3);
  SpectralEstimate estimate = spectral_norm(w, 1, start);
  for (int i = 0; i < 9; ++i) estimate = spectral_norm(w, 1, estimate);
  Rng again(3);
  CHECK(estimate.sigma == doctest::Approx(spectral_norm(w, 10, again).sigma).epsilon(1e-14));
}

TEST_CASE("spectral_norm: starts anew from a vector that w maps to next to nothing") {
  const Tensor w = Tensor::of({1, 0, 0, 0}, {2, 2}, DType::f64);
  const SpectralEstimate lost{.v = Tensor::of({0, 1}, {2}, DType::f64)};
  CHECK(spectral_norm(w, 5, lost).sigma == doctest::Approx(1));
  CHECK(spectral_norm(w, 5, SpectralEstimate{}).sigma == doctest::Approx(1));
  // One of 4000 columns: a normal start has |w v| < 1e-3 ||w||_F with probability 8e-4.
  Tensor column = Tensor::zeros({1, 4000}, DType::f64);
  column.write<double>()[17] = 1;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Rng rng(seed);
    CHECK(spectral_norm(column, 1, rng).sigma == doctest::Approx(1));
  }
}

TEST_CASE("spectral_norm: zero, huge and tiny matrices") {
  Rng rng(4);
  const SpectralEstimate zero = spectral_norm(Tensor::zeros({3, 2}), 3, rng);
  CHECK(zero.sigma == 0);
  CHECK(max_abs(zero.u) == 0);
  CHECK(spectral_norm(Tensor::full({2, 2}, 1e300, DType::f64), 3, rng).sigma ==
        doctest::Approx(2e300));
  CHECK(spectral_norm(Tensor::full({2, 2}, 1e-300, DType::f64), 3, rng).sigma ==
        doctest::Approx(2e-300));
}

TEST_CASE("spectral_norm: rejects what has no norm") {
  Rng rng(5);
  CHECK_THROWS_WITH_AS(spectral_norm(Tensor::zeros({3}), 1, rng),
                       "spectral_norm: expected a matrix [m, n], got [3]", ShapeError);
  CHECK_THROWS_WITH_AS(spectral_norm(Tensor::eye(3), 0, rng),
                       "spectral_norm: expected iterations >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(
      spectral_norm(Tensor::full({2, 2}, std::numeric_limits<double>::infinity()), 1, rng),
      "spectral_norm: expected finite entries of w", NumericError);
  CHECK_THROWS_WITH_AS(spectral_norm(Tensor::eye(3), 1, SpectralEstimate{.v = Tensor::zeros({2})}),
                       "spectral_norm: expected v of shape [3] and type f32, got [2] and f32",
                       ShapeError);
}

TEST_CASE("spectral_normalize: divides by the estimate, above and below 1") {
  Rng rng(6);
  for (const double scale : {0.01, 1.0, 50.0}) {
    const Tensor w = with_spectrum(rng, 7, 5, {scale, scale / 2, scale / 3, scale / 5, 0});
    const SpectralEstimate estimate = spectral_norm(w, 60, rng);
    const Tensor y = spectral_normalize(w, estimate.u, estimate.v).value();
    CHECK(spectral_norm(y, 60, rng).sigma == doctest::Approx(1).epsilon(1e-12));
  }
}

TEST_CASE("spectral_normalize: vjp and jvp match finite differences") {
  Rng rng(7);
  for (const Shape& shape : {Shape{5, 5}, Shape{7, 3}, Shape{3, 7}, Shape{1, 4}, Shape{4, 1}}) {
    CAPTURE(shape);
    const Tensor w = random_normal(rng, shape, 1, DType::f64);
    const SpectralEstimate estimate = spectral_norm(w, 2, rng);
    const auto f = [&](const Vars& in) {
      return spectral_normalize(in[0], estimate.u, estimate.v);
    };
    CHECK(gradcheck("spectral_normalize", f, {w}, {.step = 1e-4, .points = 4}));
  }
}

TEST_CASE("spectral_normalize: zero stays zero, with gradient zero") {
  Rng rng(8);
  const Tensor w = Tensor::zeros({3, 2});
  const SpectralEstimate estimate = spectral_norm(w, 2, rng);
  Tape tape;
  const Var leaf = tape.leaf(w);
  const Var y = spectral_normalize(leaf, estimate.u, estimate.v);
  tape.backward(y, Tensor::full({3, 2}, 1));
  CHECK(max_abs(y.value()) == 0);
  CHECK(max_abs(leaf.grad()) == 0);
}

TEST_CASE("spectral_normalize: rejects vectors that do not fit") {
  const Tensor w = Tensor::zeros({3, 2});
  CHECK_THROWS_WITH_AS(spectral_normalize(Tensor::zeros({3}), w, w),
                       "spectral_normalize: expected w of shape [m, n], got [3]", ShapeError);
  CHECK_THROWS_WITH_AS(spectral_normalize(w, Tensor::zeros({2}), Tensor::zeros({2})),
                       "spectral_normalize: expected u of shape [3] and v of shape [2], got [2] "
                       "and [2]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(spectral_normalize(w, Tensor::zeros({3}, DType::f64), Tensor::zeros({2})),
                       "spectral_normalize: expected one type, got f32, f64 and f32", ShapeError);
}

TEST_SUITE_END();
