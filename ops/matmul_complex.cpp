#include <isotape/ops/matmul_complex.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>

#include <isotape/core/blas_complex.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/op.hpp>
#include <isotape/core/tensor.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

const Op matmul_complex_op("matmul_complex");

// y_f += op(a_f) op(b_f), or y_f = if it is absent.
Tensor product(const Tensor& a, bool adjoint_a, const Tensor& b, bool adjoint_b, Tensor y = {}) {
  const std::int64_t m = a.dim(adjoint_a ? 2 : 1);
  const std::int64_t k = a.dim(adjoint_a ? 1 : 2);
  const std::int64_t n = b.dim(adjoint_b ? 1 : 2);
  const bool adds = static_cast<bool>(y);
  if (!adds) y = Tensor({a.dim(0), m, n, 2}, a.dtype());
  dispatch_float(a.dtype(), "matmul_complex", [&]<class T>() {
    const auto op = [](bool adjoint) { return adjoint ? blas::Op::adjoint : blas::Op::none; };
    T* to = y.write<T>();
    if (k == 0 && !adds) std::fill_n(to, y.size(), T(0));
    parallel_for(a.dim(0), 1 + (1 << 18) / (8 * m * n * k + 1),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t f = begin; f < end; ++f) {
                     blas::gemm_complex<T>(op(adjoint_a), op(adjoint_b), m, n, k, 1,
                                           a.data<T>() + 2 * f * m * k, adjoint_a ? m : k,
                                           b.data<T>() + 2 * f * k * n, adjoint_b ? k : n,
                                           adds ? 1 : 0, to + 2 * f * m * n, n);
                   }
                 });
  });
  return y;
}

}  // namespace

Var matmul_complex(const Var& a_var, const Var& b_var, bool adjoint) {
  const Tensor& a = a_var.value();
  const Tensor& b = b_var.value();
  require<ShapeError>(
      a.rank() == 4 && b.rank() == 4 && a.dim(3) == 2 && b.dim(3) == 2 && a.dim(0) == b.dim(0) &&
          a.dim(2) == b.dim(adjoint ? 2 : 1) && a.dtype() == b.dtype(),
      "matmul_complex: expected a [F, m, k, 2] and b ", adjoint ? "[F, n, k, 2]" : "[F, k, n, 2]",
      " of one type, got ", a.shape(), " of ", a.dtype(), " and ", b.shape(), " of ", b.dtype());

  // Re tr(dy^H (da op(b) + a op(db))).
  auto vjp = [a, b, adjoint](const Tensor& dy, Needs needs) -> Grads<2> {
    Grads<2> grads;
    if (needs(0)) grads[0] = product(dy, false, b, !adjoint);
    if (needs(1)) grads[1] = adjoint ? product(dy, true, a, false) : product(a, true, dy, false);
    return grads;
  };
  auto jvp = [a, b, adjoint](const Tangents<2>& d) {
    Tensor dy = d[0] ? product(d[0], false, b, adjoint) : Tensor();
    return d[1] ? product(a, false, d[1], adjoint, std::move(dy)) : dy;
  };
  return record(matmul_complex_op, product(a, false, b, adjoint), {a_var, b_var}, {a, b},
                std::move(vjp), std::move(jvp));
}

}  // namespace isotape
