#include <doctest/doctest.h>
#include <cmath>

#include <isotape/ops/bjorck.hpp>
#include <isotape/ops/polar.hpp>

#include "spectrum.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("ops/polar_factored");

namespace {

constexpr DType f64 = DType::f64;

struct Both {
  Tensor factored;
  Tensor plain;
};

// The derivative at w from the two factors, and that from the small side alone.
Both derivatives(const Tensor& w, const Tensor& dq) {
  const PolarShape shape{w.dim(0), w.dim(1)};
  Spectrum spectrum = polar_spectrum(shape, w.data<double>());
  polar_drop_null_space(spectrum);
  Tensor q(w.shape(), f64);
  const PolarFactors factors = polar_factored(shape, w.data<double>(), spectrum, q.write<double>());
  Both both{Tensor(w.shape(), f64), Tensor(w.shape(), f64)};
  polar_factored_derivative(shape, factors, spectrum.sigma, dq.data<double>(),
                            both.factored.write<double>());
  polar_derivative({}, shape, q.data<double>(), spectrum, dq.data<double>(),
                   both.plain.write<double>());
  return both;
}

double defect(const Tensor& q) {
  const Tensor wide = q.to(f64);
  return polar_defect<double>({q.dim(0), q.dim(1)}, wide.data<double>());
}

Tensor gradient(const Tensor& w, const Tensor& dq) {
  Tape tape;
  const Var leaf = tape.leaf(w);
  tape.backward(bjorck(leaf), dq);
  return leaf.grad();
}

}  // namespace

TEST_CASE("polar_factored: rows of the factors are singular vectors, their product the factor") {
  Rng rng(1);
  for (const Shape& extents : {Shape{6, 6}, Shape{9, 6}, Shape{6, 9}, Shape{1, 2}, Shape{1, 1}}) {
    CAPTURE(extents);
    const PolarShape shape{extents[0], extents[1]};
    const std::int64_t k = shape.small();
    const Tensor w = with_spectrum(rng, extents[0], extents[1], geometric(k, 30));
    const Spectrum spectrum = polar_spectrum(shape, w.data<double>());
    Tensor q(extents, f64);
    const PolarFactors factors =
        polar_factored(shape, w.data<double>(), spectrum, q.write<double>());
    CHECK(factors.left.shape() == Shape{k, shape.large()});
    CHECK(factors.right.shape() == Shape{k, k});
    CHECK(defect(factors.left) < 1e-13);
    CHECK(defect(factors.right) < 1e-13);
    CHECK(max_abs_diff(q, matrix_function(w, [](double) { return 1.0; })) < 1e-13);
  }
}

TEST_CASE("polar_factored: the derivative agrees with that from the small side alone") {
  Rng rng(2);
  const std::vector<std::vector<double>> spectra = {geometric(6, 1),
                                                    geometric(6, 10),
                                                    geometric(6, 1e3),
                                                    {1, 1, 0.5, 0.5, 0.5, 0.1},
                                                    {1, 1, 0.9, 0.5, 0, 0}};
  for (const Shape& shape : {Shape{6, 6}, Shape{9, 6}, Shape{6, 9}, Shape{14, 6}, Shape{6, 15}}) {
    for (const std::vector<double>& sigma : spectra) {
      CAPTURE(shape);
      CAPTURE(sigma);
      const Tensor w = with_spectrum(rng, shape[0], shape[1], sigma);
      const Both both = derivatives(w, random_normal(rng, shape, 1, f64));
      CHECK(max_abs_diff(both.factored, both.plain) < 1e-10 * max_abs(both.plain));
    }
  }
}

TEST_CASE("polar_exact: few singular values far above the others cost no digits") {
  // Trained matrices have such spectra. Above an eighth of the order, w p^-1 is computed in f64.
  Rng rng(4);
  for (const Shape& shape : {Shape{64, 300}, Shape{300, 64}}) {
    for (const int outliers : {0, 1, 8, 9, 63}) {
      for (const double kappa : {30.0, 1e3}) {
        CAPTURE(shape);
        CAPTURE(outliers);
        std::vector<double> sigma(64);
        for (int i = 0; i < 64; ++i) {
          sigma[i] = i < outliers ? kappa * (1 - 0.5 * i / 64) : 1 + 0.03 * i;
        }
        const Tensor w = with_spectrum(rng, shape[0], shape[1], sigma).to(DType::f32);
        const Tensor q = bjorck(w).value();
        CHECK(defect(q) < 5e-7);
        CHECK(max_abs_diff(q.to(f64), bjorck(w.to(f64)).value()) < 2e-7);
      }
    }
  }
}

TEST_CASE("bjorck: a defect is measured where asked for, and where rank is lost") {
  Rng rng(6);
  BjorckReport report;
  const Tensor w = with_spectrum(rng, 9, 7, geometric(7, 20));
  const Tensor q = bjorck(w, {.measure = false}, &report).value();
  CHECK(report.converged);
  CHECK(std::isnan(report.defect));
  CHECK(report.kappa == doctest::Approx(20));
  CHECK(max_abs_diff(q, bjorck(w, {}, &report).value()) == 0);
  CHECK(report.converged);
  CHECK(report.defect < 1e-14);
  bjorck(with_spectrum(rng, 9, 3, {1, 0.5, 0}), {.measure = false}, &report);
  CHECK_FALSE(report.converged);
  CHECK(report.defect > 0.33);  // I - q^T q is v v^T of a unit vector with three entries
  bjorck(w, {.iterations = 2, .measure = false}, &report);
  CHECK_FALSE(report.converged);
  CHECK(report.defect > 0.1);
}

TEST_CASE("polar_exact: large matrices without rank give the partial isometry") {
  Rng rng(5);
  for (const int rank : {0, 5, 63}) {
    CAPTURE(rank);
    std::vector<double> sigma(64, 0.0);
    std::fill_n(sigma.begin(), rank, 1.0);
    const Tensor w = with_spectrum(rng, 300, 64, sigma).to(DType::f32);
    const Tensor q = bjorck(w).value();
    REQUIRE(all_finite(q));
    CHECK(std::abs(std::pow(frobenius_norm(q), 2) - rank) < 1e-4);
    CHECK(all_finite(gradient(w, random_normal(rng, w.shape()))));
  }
}

TEST_CASE("polar_factored: large f32 matrices are orthogonal, and their gradients those of f64") {
  Rng rng(3);
  for (const Shape& shape : {Shape{128, 128}, Shape{96, 160}, Shape{160, 96}, Shape{64, 300},
                             Shape{300, 64}, Shape{63, 200}}) {
    for (const double kappa : {1.0, 9.9, 10.1, 300.0, 1e4}) {
      CAPTURE(shape);
      CAPTURE(kappa);
      const std::int64_t k = std::min(shape[0], shape[1]);
      const Tensor w = with_spectrum(rng, shape[0], shape[1], geometric(k, kappa)).to(DType::f32);
      const Tensor dq = random_normal(rng, shape);
      const Tensor q = bjorck(w).value();
      CHECK(defect(q) < 5e-7);
      CHECK(max_abs_diff(q.to(f64), bjorck(w.to(f64)).value()) < 1e-6);
      const Tensor exact = gradient(w.to(f64), dq.to(f64));
      CHECK(max_abs_diff(gradient(w, dq).to(f64), exact) < 1e-5 * max_abs(exact));
    }
  }
}

TEST_SUITE_END();
