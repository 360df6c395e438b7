#include <isotape/ops/cayley_factor.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/op.hpp>
#include <isotape/core/tensor.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

const Op cayley_factor_op("cayley_factor");

// c = alpha op(a) op(b) + beta c, densely stored.
template <class T>
void multiply(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, T alpha,
              const T* a, const T* b, T beta, T* c) {
  blas::gemm<T>(trans_a, trans_b, m, n, k, alpha, a, trans_a ? m : k, b, trans_b ? k : n, beta, c,
                n);
}

// to = a + sign a^T + beta to.
template <class T>
void add_transpose(std::int64_t n, const T* a, T sign, T beta, T* to) {
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      const T kept = beta == 0 ? T(0) : beta * to[i * n + j];
      to[i * n + j] = kept + a[i * n + j] + sign * a[j * n + i];
    }
  }
}

template <class T>
Tensor factor(const Tensor& w) {
  const std::int64_t n = w.dim(1);
  const std::int64_t p = w.dim(0) - n;
  Tensor sum = Tensor::zeros({n, n}, w.dtype());
  Tensor inverse({n, n}, w.dtype());
  T* z = sum.write<T>();
  if (p > 0) blas::syrk<T>(true, n, p, 1, w.data<T>() + n * n, n, 0, z, n);
  add_transpose<T>(n, w.data<T>(), -1, 1, z);
  for (std::int64_t i = 0; i < n; ++i) z[i * n + i] += 1;
  std::vector<int> pivots(static_cast<std::size_t>(n));
  blas::lu_factor(n, z, pivots.data());
  blas::lu_inverse(n, z, pivots.data(), inverse.write<T>());
  return inverse;
}

// dL/dw for h = dL/df.
template <class T>
Tensor gradient(const Tensor& w, const Tensor& f, const Tensor& h) {
  const std::int64_t n = w.dim(1);
  const std::int64_t p = w.dim(0) - n;
  Tensor grad(w.shape(), w.dtype());
  Tensor inner({n, n}, w.dtype());
  Tensor outer({n, n}, w.dtype());
  T* u = inner.write<T>();
  T* g = outer.write<T>();
  T* to = grad.write<T>();
  multiply<T>(false, true, n, n, n, 1, h.data<T>(), f.data<T>(), 0, u);
  multiply<T>(true, false, n, n, n, -1, f.data<T>(), u, 0, g);
  add_transpose<T>(n, g, -1, 0, to);
  add_transpose<T>(n, g, 1, 0, u);
  if (p > 0) multiply<T>(false, false, p, n, n, 1, w.data<T>() + n * n, u, 0, to + n * n);
  return grad;
}

// df = -f dz f, dz = dx - dx^T + dy^T y + y^T dy.
template <class T>
Tensor tangent(const Tensor& w, const Tensor& f, const Tensor& dw) {
  const std::int64_t n = w.dim(1);
  const std::int64_t p = w.dim(0) - n;
  Tensor differential({n, n}, w.dtype());
  Tensor product({n, n}, w.dtype());
  Tensor df({n, n}, w.dtype());
  T* dz = differential.write<T>();
  T* u = product.write<T>();
  add_transpose<T>(n, dw.data<T>(), -1, 0, dz);
  if (p > 0) {
    multiply<T>(true, false, n, n, p, 1, dw.data<T>() + n * n, w.data<T>() + n * n, 0, u);
    add_transpose<T>(n, u, 1, 1, dz);
  }
  multiply<T>(false, false, n, n, n, 1, dz, f.data<T>(), 0, u);
  multiply<T>(false, false, n, n, n, -1, f.data<T>(), u, 0, df.write<T>());
  return df;
}

}  // namespace

Var cayley_factor(const Var& w_var) {
  const Tensor& w = w_var.value();
  require<ShapeError>(w.rank() == 2 && w.dim(0) >= w.dim(1),
                      "cayley_factor: expected w of shape [m, n], m >= n, got ", w.shape());
  return dispatch_float(w.dtype(), "cayley_factor", [&]<class T>() {
    const bool finite = all_finite(w);
    const Tensor f = finite ? factor<T>(w) : Tensor();
    require<NumericError>(finite && all_finite(f),
                          "cayley_factor: expected finite entries, not too large, got w of shape ",
                          w.shape(), " with a factor that is not");
    auto vjp = [w, f](const Tensor& h, Needs) -> Grads<1> { return {gradient<T>(w, f, h)}; };
    auto jvp = [w, f](const Tangents<1>& d) { return tangent<T>(w, f, d[0]); };
    return record(cayley_factor_op, f, {w_var}, {w, f}, std::move(vjp), std::move(jvp));
  });
}

Var multiply_cayley(const Var& a, const Var& w, const Var& f) {
  const std::int64_t m = w.dim(0);
  const std::int64_t n = w.dim(1);
  require<ShapeError>(a.value().rank() == 2 && a.dim(1) == m,
                      "multiply_cayley: expected a of shape [N, ", m, "], got ", a.shape());
  if (m == n) return sub(scale(matmul(a, f), 2), a);
  const Var top = slice(a, 1, 0, n);
  const Var inner = sub(top, matmul(slice(a, 1, n, m), slice(w, 0, n, m)));
  return sub(scale(matmul(inner, f), 2), top);
}

Var multiply_cayley_transposed(const Var& a, const Var& w, const Var& f) {
  const std::int64_t m = w.dim(0);
  const std::int64_t n = w.dim(1);
  require<ShapeError>(a.value().rank() == 2 && a.dim(1) == n,
                      "multiply_cayley_transposed: expected a of shape [N, ", n, "], got ",
                      a.shape());
  const Var twice = scale(matmul(a, f, {.trans_b = true}), 2);
  Var top = sub(twice, a);
  if (m == n) return top;
  return concat({top, neg(matmul(twice, slice(w, 0, n, m), {.trans_b = true}))}, 1);
}

}  // namespace isotape
