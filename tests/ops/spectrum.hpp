#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <isotape/core/blas.hpp>
#include <isotape/core/random.hpp>

/// A random f64 matrix [m, n] with the given min(m, n) singular values.
inline isotape::Tensor with_spectrum(isotape::Rng& rng, std::int64_t m, std::int64_t n,
                                     const std::vector<double>& sigma) {
  const std::int64_t r = std::min(m, n);
  const isotape::Tensor u = isotape::random_orthogonal(rng, {m, r}, 1, isotape::DType::f64);
  isotape::Tensor vt = isotape::random_orthogonal(rng, {r, n}, 1, isotape::DType::f64);
  for (std::int64_t i = 0; i < r; ++i) {
    for (std::int64_t j = 0; j < n; ++j) vt.write<double>()[i * n + j] *= sigma[i];
  }
  isotape::Tensor w({m, n}, isotape::DType::f64);
  isotape::blas::gemm(false, false, m, n, r, 1.0, u.data<double>(), r, vt.data<double>(), n, 0.0,
                      w.write<double>(), n);
  return w;
}

/// r values, falling geometrically from 1 to 1 / kappa.
inline std::vector<double> geometric(std::int64_t r, double kappa) {
  std::vector<double> sigma(r, 1.0);
  for (std::int64_t i = 1; i < r; ++i) sigma[i] = std::pow(kappa, -double(i) / double(r - 1));
  return sigma;
}

/// U f(S) V^T of an f64 matrix w = U S V^T, by singular value decomposition.
template <class F>
isotape::Tensor matrix_function(const isotape::Tensor& w, F&& f) {
  const std::int64_t m = w.dim(0);
  const std::int64_t n = w.dim(1);
  const std::int64_t r = std::min(m, n);
  isotape::Tensor a = w.clone();
  isotape::Tensor s({r}, isotape::DType::f64);
  isotape::Tensor u({m, r}, isotape::DType::f64);
  isotape::Tensor vt({r, n}, isotape::DType::f64);
  isotape::blas::svd(m, n, a.write<double>(), s.write<double>(), u.write<double>(),
                     vt.write<double>());
  for (std::int64_t i = 0; i < r; ++i) {
    for (std::int64_t j = 0; j < n; ++j) vt.write<double>()[i * n + j] *= f(s.data<double>()[i]);
  }
  isotape::Tensor y({m, n}, isotape::DType::f64);
  isotape::blas::gemm(false, false, m, n, r, 1.0, u.data<double>(), r, vt.data<double>(), n, 0.0,
                      y.write<double>(), n);
  return y;
}
