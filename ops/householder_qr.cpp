#include <isotape/ops/householder_qr.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/polar.hpp>

namespace isotape {
namespace {

const Op householder_qr_op("householder_qr");

constexpr DType f64 = DType::f64;
constexpr double least_pivot = 1e-14;  // times |w|_F

// a as a tall matrix in f64, and back: the mathematics below is that of m >= n.
template <class T>
void widen(PolarShape shape, const T* from, double* to) {
  if (!shape.wide()) {
    std::copy(from, from + shape.size(), to);
    return;
  }
  for (std::int64_t i = 0; i < shape.m; ++i) {
    for (std::int64_t j = 0; j < shape.n; ++j) to[j * shape.m + i] = double(from[i * shape.n + j]);
  }
}

template <class T>
void narrow(PolarShape shape, const double* from, T* to) {
  for (std::int64_t i = 0; i < shape.m; ++i) {
    for (std::int64_t j = 0; j < shape.n; ++j) {
      to[i * shape.n + j] = static_cast<T>(from[shape.wide() ? j * shape.m + i : i * shape.n + j]);
    }
  }
}

// q [large, small] and x = l^-1 with r = l^T, of one matrix.
template <class T>
void factorise(PolarShape shape, const T* w, double* q, double* x, std::int64_t matrix) {
  polar_require_finite("householder_qr", shape, w, matrix);
  const std::int64_t m = shape.large();
  const std::int64_t n = shape.small();
  Tensor tall({m, n}, f64);
  auto* const a = tall.write<double>();
  widen(shape, w, a);
  std::copy(a, a + shape.size(), q);
  std::vector<double> signs(static_cast<std::size_t>(n));
  blas::qr_orthonormal(m, n, q, signs.data());
  for (std::int64_t i = 0; i < shape.size(); ++i) q[i] *= signs[static_cast<std::size_t>(i % n)];

  blas::gemm<double>(true, false, n, n, m, 1, a, n, q, n, 0, x, n);  // l = w^T q
  const double least = least_pivot * frobenius_norm(tall);
  for (std::int64_t i = 0; i < n; ++i) {
    require<NumericError>(x[i * (n + 1)] > least, "householder_qr: expected full ",
                          shape.wide() ? "row" : "column", " rank, got r_ii = ", x[i * (n + 1)],
                          " at i = ", i, " of matrix ", matrix);
    std::fill(x + i * n + i + 1, x + (i + 1) * n, 0.0);
  }
  blas::triangular_inverse(n, x);
}

// As of any QR factorisation, with a dot for a tangent: wdot r^-1 = qdot + q rdot r^-1, and of
// q^T wdot r^-1 the first part is skew and the second upper triangular, u(a)_ij = a_ij + a_ji above
// the diagonal, a_ii on it. Hence
//     qdot = y - q u(q^T y),   y = wdot r^-1 = wdot x^T,
//     grad_w = (dq - q s(q^T dq)) x,
// s(k) symmetric with k's upper triangle, the adjoint of u.
void derivative(bool forward, std::int64_t m, std::int64_t n, const double* q, const double* x,
                double* y) {
  if (forward) blas::triangular_product(true, true, m, n, x, y);
  Tensor inner({n, n}, f64);
  auto* const k = inner.write<double>();
  blas::gemm<double>(true, false, n, n, m, 1, q, n, y, n, 0, k, n);
  for_pairs(n, [&](std::int64_t i, std::int64_t j) {  // j <= i
    if (i == j) return;
    double& upper = k[j * n + i];
    double& lower = k[i * n + j];
    if (forward) {
      upper += lower;
      lower = 0;
    } else {
      lower = upper;
    }
  });
  blas::gemm<double>(false, false, m, n, n, -1, q, n, k, n, 1, y, n);
  if (!forward) blas::triangular_product(true, false, m, n, x, y);
}

}  // namespace

Var householder_qr(const Var& w_var) {
  const Tensor& w = w_var.value();
  require<ShapeError>((w.rank() == 2 || w.rank() == 3) && w.size() > 0,
                      "householder_qr: expected w of shape [m, n] or [b, m, n], got ", w.shape());
  const PolarShape shape{w.dim(-2), w.dim(-1)};
  const std::int64_t n = shape.small();
  const std::int64_t count = w.size() / shape.size();
  return dispatch_float(w.dtype(), "householder_qr", [&]<class T>() {
    Tensor y(w.shape(), w.dtype());
    Tensor q({count, shape.large(), n}, f64);
    Tensor x({count, n, n}, f64);
    parallel_jobs(count, [&, to_y = y.write<T>(), to_q = q.write<double>(),
                          to_x = x.write<double>()](std::int64_t b) {
      const std::int64_t at = b * shape.size();
      factorise(shape, w.data<T>() + at, to_q + at, to_x + b * n * n, b);
      narrow(shape, to_q + at, to_y + at);
    });
    const auto derivatives = [q, x, shape, n, count](bool forward, const Tensor& from) {
      Tensor result(from.shape(), from.dtype());
      parallel_jobs(count, [&, to = result.write<T>()](std::int64_t b) {
        const std::int64_t at = b * shape.size();
        Tensor work({shape.large(), n}, f64);
        auto* const a = work.write<double>();
        widen(shape, from.data<T>() + at, a);
        derivative(forward, shape.large(), n, q.data<double>() + at, x.data<double>() + b * n * n,
                   a);
        narrow(shape, a, to + at);
      });
      return result;
    };
    auto vjp = [derivatives](const Tensor& dy, Needs) -> Grads<1> {
      return {derivatives(false, dy)};
    };
    auto jvp = [derivatives](const Tangents<1>& tangents) {
      return derivatives(true, tangents[0]);
    };
    return record(householder_qr_op, std::move(y), {w_var}, {}, std::move(vjp), std::move(jvp));
  });
}

}  // namespace isotape
