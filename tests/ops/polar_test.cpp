#include <doctest/doctest.h>
#include <algorithm>

#include <isotape/ops/polar.hpp>

#include "spectrum.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("ops/polar");

namespace {

template <class T>
double prescale(const Tensor& w) {
  const PolarShape shape{w.dim(0), w.dim(1)};
  return polar_prescale(shape, w.data<T>(), polar_spectrum(shape, w.data<T>()));
}

}  // namespace

TEST_CASE("polar_spectrum: singular values and vectors, from the Gram matrix and from the SVD") {
  Rng rng(2);
  for (const Shape& shape : {Shape{7, 7}, Shape{20, 6}, Shape{6, 20}}) {
    for (const double kappa : {1.0, 50.0, 1e5}) {
      CAPTURE(shape);
      CAPTURE(kappa);
      const std::int64_t n = std::min(shape[0], shape[1]);
      const Tensor w = with_spectrum(rng, shape[0], shape[1], geometric(n, kappa)).to(DType::f32);
      const Spectrum spectrum = polar_spectrum({shape[0], shape[1]}, w.data<float>());
      // |w' v_i| = sigma_i, and the v_i are orthonormal.
      const PolarShape extents{shape[0], shape[1]};
      Tensor gram({n, n}, DType::f64);
      extents.gram(w.to(DType::f64).data<double>(), gram.write<double>());
      for (std::int64_t i = 0; i < n; ++i) {
        Tensor image({n}, DType::f64);
        const double* const v = spectrum.vectors.data<double>() + i * n;
        blas::gemv(false, n, n, 1.0, gram.data<double>(), n, v, 0.0, image.write<double>());
        const double s = spectrum.sigma.data<double>()[i];
        for (std::int64_t j = 0; j < n; ++j) CHECK(std::abs(image.at(j) - s * s * v[j]) < 1e-14);
      }
      CHECK(polar_defect<double>({n, n}, spectrum.vectors.data<double>()) < 1e-13);
      const auto [least, largest] =
          std::minmax_element(spectrum.sigma.data<double>(), spectrum.sigma.data<double>() + n);
      CHECK(*largest / *least == doctest::Approx(kappa).epsilon(kappa > 100 ? 0.1 : 1e-4));
    }
  }
}

TEST_CASE("polar_prescale: the least of the bounds, never below the spectral norm") {
  Rng rng(3);
  const std::vector<double> sigma = geometric(6, 10);
  double eighth = 0;
  for (const double s : sigma) eighth += std::pow(s, 8);
  const Tensor w = with_spectrum(rng, 9, 6, sigma);
  CHECK(prescale<double>(w) == doctest::Approx(std::pow(eighth, 0.125)));
  // An identity of order n has sqrt(||w||_1 ||w||_inf) = 1 and Schatten norm n^(1/8).
  CHECK(prescale<double>(Tensor::eye(6, DType::f64)) == 1);
  CHECK(prescale<float>(Tensor::zeros({3, 2})) == 1);
}

TEST_CASE("polar_defect: the largest entry of q^T q - I on the small side") {
  const Tensor q = Tensor::of({1, 0, 0, 0, 2, 1}, {2, 3}, DType::f64);
  CHECK(polar_defect<double>({2, 3}, q.data<double>()) == 4);
  const Tensor bad = Tensor::of({1, 0, 0, std::nan("")}, {2, 2}, DType::f64);
  CHECK(std::isnan(polar_defect<double>({2, 2}, bad.data<double>())));
}

TEST_SUITE_END();
