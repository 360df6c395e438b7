#include <isotape/ops/block_reflector.hpp>

#include <cstdint>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/cholesky_qr.hpp>

namespace isotape {
namespace {

const Op reflect_op("reflect_span");

// c = alpha op(a) op(b) + beta c, densely stored.
template <class T>
void multiply(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, T alpha,
              const T* a, const T* b, T beta, T* c) {
  blas::gemm<T>(trans_a, trans_b, m, n, k, alpha, a, trans_a ? m : k, b, trans_b ? k : n, beta, c,
                n);
}

// y = I - 2 q q^T for q with orthonormal columns [b, n, r].
//     dy = -2 (dq q^T + q dq^T),   grad_q = -2 (dy + dy^T) q.
// What of grad_q is along span q does not survive the derivative of q.
Var reflect_span(const Var& q_var) {
  const Tensor& q = q_var.value();
  const std::int64_t n = q.dim(-2);
  const std::int64_t r = q.dim(-1);
  const std::int64_t count = q.size() / (n * r);
  return dispatch_float(q.dtype(), "block_reflector", [&]<class T>() {
    Tensor y(q.shape().with(-1, n), q.dtype());
    parallel_jobs(count, [&, to = y.write<T>()](std::int64_t b) {
      T* const at = to + b * n * n;
      blas::syrk<T>(false, n, r, -2, q.data<T>() + b * n * r, r, 0, at, n);
      for (std::int64_t i = 0; i < n; ++i) at[i * (n + 1)] += 1;
    });
    auto vjp = [q, n, r, count](const Tensor& dy, Needs) -> Grads<1> {
      Tensor grad(q.shape(), q.dtype());
      parallel_jobs(count, [&, to = grad.write<T>()](std::int64_t b) {
        const T* from = dy.data<T>() + b * n * n;
        const T* at = q.data<T>() + b * n * r;
        multiply<T>(false, false, n, r, n, -2, from, at, 0, to + b * n * r);
        multiply<T>(true, false, n, r, n, -2, from, at, 1, to + b * n * r);
      });
      return {grad};
    };
    auto jvp = [q, n, r, count](const Tangents<1>& tangents) {
      Tensor dy(q.shape().with(-1, n), q.dtype());
      parallel_jobs(count, [&, to = dy.write<T>()](std::int64_t b) {
        const T* dq = tangents[0].data<T>() + b * n * r;
        const T* at = q.data<T>() + b * n * r;
        multiply<T>(false, true, n, n, r, -2, dq, at, 0, to + b * n * n);
        multiply<T>(false, true, n, n, r, -2, at, dq, 1, to + b * n * n);
      });
      return dy;
    };
    return record(reflect_op, std::move(y), {q_var}, {q}, std::move(vjp), std::move(jvp));
  });
}

}  // namespace

Var block_reflector(const Var& v) {
  const Shape& shape = v.shape();
  require<ShapeError>(
      (shape.rank() == 2 || shape.rank() == 3) && shape.size() > 0 && shape[-1] <= shape[-2],
      "block_reflector: expected v of shape [n, r] or [b, n, r] with r <= n, got ", shape);
  return reflect_span(cholesky_qr(v));
}

}  // namespace isotape
