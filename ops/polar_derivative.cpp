#include <isotape/ops/polar.hpp>

#include <algorithm>
#include <type_traits>

namespace isotape {
namespace {

constexpr DType f64 = DType::f64;

// x = v^T k v, or its inverse x = v k v^T; rows of `vectors` are the columns of v.
template <class C>
void to_eigenbasis(std::int64_t n, const C* vectors, const C* k, C* work, C* x) {
  blas::gemm(false, false, n, n, n, C{1}, vectors, n, k, n, C{0}, work, n);
  blas::gemm(false, true, n, n, n, C{1}, work, n, vectors, n, C{0}, x, n);
}
template <class C>
void from_eigenbasis(std::int64_t n, const C* vectors, const C* x, C* work, C* k) {
  blas::gemm(true, false, n, n, n, C{1}, vectors, n, x, n, C{0}, work, n);
  blas::gemm(false, false, n, n, n, C{1}, work, n, vectors, n, C{0}, k, n);
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
  template <class C>
  void combine(std::int64_t n, const double* g, const double* h, C* c) const {
    const double sign = converged ? -1 : 1;
    const auto x = [&](std::int64_t i, std::int64_t j, double cij, double cji) {
      return static_cast<C>(g[i * n + j] * (cij + sign * cji) -
                            (converged && complement ? cij * h[j] : 0));
    };
    for_pairs(n, [&](std::int64_t i, std::int64_t j) {
      const C cij = c[i * n + j];
      const C cji = c[j * n + i];
      c[i * n + j] = x(i, j, cij, cji);
      c[j * n + i] = x(j, i, cji, cij);
    });
  }
};

// In C: f32 is enough for an f32 gradient of the polar factor; the fixed-step form has terms that
// cancel, and is computed in f64.
template <class C>
void derivative(const PolarMap& map, PolarShape shape, const C* left, const Spectrum& spectrum,
                const C* dq, C* dw) {
  const std::int64_t n = shape.small();
  const Tensor vectors_tensor = spectrum.vectors.to(dtype_of<C>());
  const C* const vectors = vectors_tensor.data<C>();
  const auto* sigma = spectrum.sigma.data<double>();
  const bool regular = std::all_of(sigma, sigma + n, [](double s) { return s > 0; });
  const Core core{map.converged(), !(map.converged() && regular && shape.m == shape.n)};

  Tensor scalars({n + 1, n}, f64);
  auto* const g = scalars.write<double>();
  double* const h = g + n * n;
  Tensor work({3, n, n}, dtype_of<C>());
  auto* const a = work.write<C>();
  C* const b = a + n * n;
  C* const c = b + n * n;

  polar_quotients(map, n, sigma, h);
  polar_coefficients(map, n, sigma, g);
  shape.inner(left, dq, a);
  to_eigenbasis(n, vectors, a, b, c);
  core.combine(n, g, h, c);
  from_eigenbasis(n, vectors, c, b, a);
  shape.apply(left, a, C{0}, dw);
  if (!core.complement) return;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) b[i * n + j] = static_cast<C>(h[i]) * vectors[i * n + j];
  }
  blas::gemm(true, false, n, n, n, C{1}, vectors, n, b, n, C{0}, a, n);
  shape.apply(dq, a, C{1}, dw);
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
