#include <isotape/ops/polar.hpp>

#include <algorithm>
#include <type_traits>

namespace isotape {
namespace {

constexpr DType f64 = DType::f64;

// x = v^T k v, or its inverse x = v k v^T; rows of `vectors` are the columns of v.
void to_eigenbasis(std::int64_t n, const double* vectors, const double* k, double* work,
                   double* x) {
  blas::gemm(false, false, n, n, n, 1.0, vectors, n, k, n, 0.0, work, n);
  blas::gemm(false, true, n, n, n, 1.0, work, n, vectors, n, 0.0, x, n);
}
void from_eigenbasis(std::int64_t n, const double* vectors, const double* x, double* work,
                     double* k) {
  blas::gemm(true, false, n, n, n, 1.0, vectors, n, x, n, 0.0, work, n);
  blas::gemm(false, false, n, n, n, 1.0, work, n, vectors, n, 0.0, k, n);
}

// Note [Derivative of the polar map]
//
// Let w = u diag(s) v^T, f the scalar map, q = u diag(f(s)) v^T, and M = u^T dq v. In terms of
// divided differences of f, which is odd, the symmetric derivative applied to dq is
//
//     dw = u [ 1/2 f[s_i, s_j] (M + M^T) + 1/2 f[s_i, -s_j] (M - M^T) ]_ij v^T
//          + (I - u u^T) dq v diag(f(s) / s) v^T.
//
// u is not at hand, nor defined where s_i = 0. Two forms of the same do without:
//
// Polar factor, f = sign, u = q v. The first difference vanishes, the second is 1 / (s_i + s_j) =:
// g. With k = q^T dq, c = v^T k v = M and h = 1 / s,
//
//     dw = q v x v^T + dq v diag(h) v^T,   x_ij = g_ij (c_ij - c_ji) - c_ij h_j,
//
// that is q y + (I - q q^T) dq p^-1 with p y + y p = k - k^T. If w is square and regular, dq v
// diag(h) v^T = q v (c diag(h)) v^T cancels against the last term of x: both are left out.
//
// Fixed steps, q = w h(w^T w), differentiated as a product. With k = w^T dq, c = v^T k v and
// g_ij = h[s_i^2, s_j^2], the divided difference of h,
//
//     dw = w v x v^T + dq v diag(h) v^T,   x_ij = g_ij (c_ij + c_ji).
//
// Both are one computation with a left factor (q or w), the sign, and the two terms switched.
struct Core {
  bool converged;
  bool complement;  // whether the terms with h take part

  // x in place of c.
  void combine(std::int64_t n, const double* g, const double* h, double* c) const {
    const double sign = converged ? -1 : 1;
    const auto x = [&](std::int64_t i, std::int64_t j, double cij, double cji) {
      return g[i * n + j] * (cij + sign * cji) - (converged && complement ? cij * h[j] : 0);
    };
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j <= i; ++j) {
        const double cij = c[i * n + j];
        const double cji = c[j * n + i];
        c[i * n + j] = x(i, j, cij, cji);
        c[j * n + i] = x(j, i, cji, cij);
      }
    }
  }
};

// The two products over the long side run in C: f32 is enough for an f32 gradient of the polar
// factor; the fixed-step form has terms that cancel, and is computed in f64.
template <class C>
void derivative(const PolarMap& map, PolarShape shape, const C* left, const Spectrum& spectrum,
                const C* dq, C* dw) {
  const std::int64_t n = shape.small();
  const auto* vectors = spectrum.vectors.data<double>();
  const auto* sigma = spectrum.sigma.data<double>();
  const bool regular = std::all_of(sigma, sigma + n, [](double s) { return s > 0; });
  const Core core{map.converged(), !(map.converged() && regular && shape.m == shape.n)};

  Tensor work({4 * n + 1, n}, f64);
  auto* const a = work.write<double>();
  double* const b = a + n * n;
  double* const c = b + n * n;
  double* const g = c + n * n;
  double* const h = g + n * n;
  Tensor narrow({n, n}, dtype_of<C>());
  auto* const k = narrow.write<C>();

  polar_quotients(map, n, sigma, h);
  polar_coefficients(map, n, sigma, g);
  shape.inner(left, dq, k);
  std::copy(k, k + n * n, a);
  to_eigenbasis(n, vectors, a, b, c);
  core.combine(n, g, h, c);
  from_eigenbasis(n, vectors, c, b, a);
  std::transform(a, a + n * n, k, [](double x) { return static_cast<C>(x); });
  shape.apply(left, k, C{0}, dw);
  if (!core.complement) return;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) b[i * n + j] = h[i] * vectors[i * n + j];
  }
  blas::gemm(true, false, n, n, n, 1.0, vectors, n, b, n, 0.0, a, n);
  std::transform(a, a + n * n, k, [](double x) { return static_cast<C>(x); });
  shape.apply(dq, k, C{1}, dw);
}

}  // namespace

template <class T>
void polar_derivative(const PolarMap& map, PolarShape shape, const T* left,
                      const Spectrum& spectrum, const T* dq, T* dw) {
  if (std::is_same_v<T, double> || map.converged()) {
    derivative(map, shape, left, spectrum, dq, dw);
    return;
  }
  Tensor work({3, shape.size()}, f64);
  auto* const left64 = work.write<double>();
  double* const dq64 = left64 + shape.size();
  double* const dw64 = dq64 + shape.size();
  std::copy(left, left + shape.size(), left64);
  std::copy(dq, dq + shape.size(), dq64);
  derivative(map, shape, left64, spectrum, dq64, dw64);
  std::transform(dw64, dw64 + shape.size(), dw, [](double x) { return static_cast<T>(x); });
}

template void polar_derivative<float>(const PolarMap&, PolarShape, const float*, const Spectrum&,
                                      const float*, float*);
template void polar_derivative<double>(const PolarMap&, PolarShape, const double*, const Spectrum&,
                                       const double*, double*);

}  // namespace isotape
