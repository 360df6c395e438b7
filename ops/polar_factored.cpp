#include <algorithm>
#include <cstdint>

#include <isotape/ops/polar.hpp>

namespace isotape {
namespace {

constexpr DType f64 = DType::f64;

template <class T>
void scale_rows(std::int64_t rows, std::int64_t columns, const double* factors, T* x) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const T factor = static_cast<T>(factors[i]);
    for (std::int64_t j = 0; j < columns; ++j) x[i * columns + j] *= factor;
  }
}

Tensor inverses(const Tensor& sigma) {
  Tensor h({sigma.size()}, f64);
  polar_quotients({}, sigma.size(), sigma.data<double>(), h.write<double>());
  return h;
}

}  // namespace

template <class T>
PolarFactors polar_factored(PolarShape shape, const T* w, const Spectrum& spectrum, T* q) {
  const std::int64_t k = shape.small();
  const auto* const v = spectrum.vectors.data<double>();
  Tensor wide({shape.m, shape.n}, f64);  // w, and later q
  auto* const w64 = wide.write<double>();
  std::copy(w, w + shape.size(), w64);
  Tensor left({k, shape.large()}, f64);
  auto* const u = left.write<double>();
  shape.to_basis(k, v, w64, u);
  scale_rows(k, shape.large(), inverses(spectrum.sigma).data<double>(), u);

  PolarFactors factors{left.to(dtype_of<T>()), spectrum.vectors.to(dtype_of<T>())};
  if (std::is_same_v<T, double> || narrow_product<T>(shape)) {
    shape.from_basis(k, factors.right.data<T>(), factors.left.data<T>(), T{1}, T{0}, q);
  } else {
    shape.from_basis(k, v, u, 1.0, 0.0, w64);
    std::transform(w64, w64 + shape.size(), q, [](double x) { return static_cast<T>(x); });
  }
  return factors;
}

// The first form of Note [Derivative of the polar map] as it stands. With N = dq v, M = u^T N,
//
//     dw = [u x + N diag(h)] v^T,   x_ij = (M_ij - M_ji) / (s_i + s_j) - M_ij h_j,   h = 1 / s;
//
// if w is square and regular, N = u M, and the two terms with h cancel: both are left out.
template <class T>
void polar_factored_derivative(PolarShape shape, const PolarFactors& factors,
                               const Tensor& sigma_tensor, const T* dq, T* dw) {
  const std::int64_t k = shape.small();
  const std::int64_t large = shape.large();
  const auto* const sigma = sigma_tensor.data<double>();
  const Tensor h_tensor = inverses(sigma_tensor);
  const auto* const h = h_tensor.data<double>();
  const bool regular = std::all_of(sigma, sigma + k, [](double s) { return s > 0; });
  const bool complement = !(regular && k == large);
  const T* const u = factors.left.data<T>();
  const T* const v = factors.right.data<T>();

  Tensor work({k, large + k}, dtype_of<T>());
  T* const y = work.write<T>();  // N^T, then [u x + N diag(h)]^T
  T* const x = y + k * large;
  shape.to_basis(k, v, dq, y);
  blas::gemm(false, true, k, k, large, T{1}, u, large, y, large, T{0}, x, k);
  for_pairs(k, [&](std::int64_t i, std::int64_t j) {
    const T mij = x[i * k + j];
    const T mji = x[j * k + i];
    const double sum = sigma[i] + sigma[j];
    const T skew = static_cast<T>(sum > 0 ? (mij - mji) / sum : 0);
    x[i * k + j] = complement ? skew - mij * static_cast<T>(h[j]) : skew;
    x[j * k + i] = complement ? -skew - mji * static_cast<T>(h[i]) : -skew;
  });
  if (complement) scale_rows(k, large, h, y);
  blas::gemm(true, false, k, large, k, T{1}, x, k, u, large, T(complement ? 1 : 0), y, large);
  shape.from_basis(k, v, y, T{1}, T{0}, dw);
}

template PolarFactors polar_factored<float>(PolarShape, const float*, const Spectrum&, float*);
template void polar_factored_derivative<float>(PolarShape, const PolarFactors&, const Tensor&,
                                               const float*, float*);
template PolarFactors polar_factored<double>(PolarShape, const double*, const Spectrum&, double*);
template void polar_factored_derivative<double>(PolarShape, const PolarFactors&, const Tensor&,
                                                const double*, double*);

}  // namespace isotape
