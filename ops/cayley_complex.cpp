#include <isotape/ops/cayley_complex.hpp>

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

const Op cayley_complex_op("cayley_complex");

using blas::Op::adjoint;
using blas::Op::none;

// Tall matrices [b, m, n, 2], m = n + p >= n; job b works on the b-th of each tensor. Sizes count
// real numbers.
struct Extents {
  std::int64_t b;
  std::int64_t m;
  std::int64_t n;
  std::int64_t p() const { return m - n; }
  std::int64_t matrix() const { return 2 * m * n; }
  std::int64_t square() const { return 2 * n * n; }
  Shape squares() const { return {b, n, n, 2}; }
};

// [b, m, n, 2] to [b, n, m, 2].
template <class T>
Tensor swapped(const Tensor& x) {
  const std::int64_t m = x.dim(1);
  const std::int64_t n = x.dim(2);
  Tensor y({x.dim(0), n, m, 2}, x.dtype());
  const T* from = x.data<T>();
  T* to = y.write<T>();
  parallel_for(x.dim(0) * n, 1 + 4096 / (m + 1), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const T* column = from + 2 * (row / n * m * n + row % n);
      T* line = to + 2 * row * m;
      for (std::int64_t i = 0; i < m; ++i) {
        line[2 * i] = column[2 * i * n];
        line[2 * i + 1] = column[2 * i * n + 1];
      }
    }
  });
  return y;
}

// c = alpha op(a) op(b) + beta c, densely stored.
template <class T>
void multiply(blas::Op op_a, blas::Op op_b, std::int64_t m, std::int64_t n, std::int64_t k, T alpha,
              const T* a, const T* b, T beta, T* c) {
  blas::gemm_complex<T>(op_a, op_b, m, n, k, alpha, a, op_a == none ? k : m, b,
                        op_b == none ? n : k, beta, c, n);
}

// z = beta z + sign a^H + a, sign = -1 or +1.
template <class T>
void add_adjoint(std::int64_t n, const T* a, T sign, T beta, T* z) {
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      const T* here = a + 2 * (i * n + j);
      const T* mirror = a + 2 * (j * n + i);
      T* to = z + 2 * (i * n + j);
      to[0] = (beta == 0 ? T(0) : beta * to[0]) + here[0] + sign * mirror[0];
      to[1] = (beta == 0 ? T(0) : beta * to[1]) + here[1] - sign * mirror[1];
    }
  }
}

template <class T>
void add_to_diagonal(std::int64_t n, T value, T* a) {
  for (std::int64_t i = 0; i < n; ++i) a[2 * (i * n + i)] += value;
}

// q and f of one matrix, with room for z.
template <class T>
void forward(const Extents& e, const T* w, T* z, T* q, T* f) {
  const std::int64_t n = e.n;
  const T* y = w + e.square();
  multiply<T>(adjoint, none, n, n, e.p(), 1, y, y, 0, z);
  if (e.p() == 0) std::fill_n(z, e.square(), T(0));
  add_adjoint<T>(n, w, -1, 1, z);
  add_to_diagonal<T>(n, 1, z);
  blas::inverse_complex(n, z, f);
  for (std::int64_t i = 0; i < e.square(); ++i) q[i] = 2 * f[i];
  add_to_diagonal<T>(n, -1, q);
  multiply<T>(none, none, e.p(), n, n, -2, y, f, 0, q + e.square());
}

// With dq = [dt; ds], df = -f dz f, dz = dx - dx^H + dy^H y + y^H dy:
//     dt = 2 df,   ds = -2 dy f - 2 y df.
// Pairing with the upstream [grad_t; grad_s], Re tr(grad^H dq), and collecting dz, then dx and dy:
//     r      = grad_s f^H
//     grad_z = -2 f^H (grad_t f^H - y^H r)
//     grad_x = grad_z - grad_z^H
//     grad_y = y (grad_z + grad_z^H) - 2 r.
// u has room for a square; grad_w's square, too, until it gets grad_x.
template <class T>
void backward(const Extents& e, const T* w, const T* f, const T* grad_q, T* u, T* grad_w) {
  const std::int64_t n = e.n;
  const std::int64_t p = e.p();
  const T* y = w + e.square();
  T* grad_z = u;
  T* inner = grad_w;
  T* grad_y = grad_w + e.square();
  multiply<T>(none, adjoint, p, n, n, 1, grad_q + e.square(), f, 0, grad_y);  // r
  multiply<T>(none, adjoint, n, n, n, 1, grad_q, f, 0, inner);
  if (p > 0) multiply<T>(adjoint, none, n, n, p, -1, y, grad_y, 1, inner);
  multiply<T>(adjoint, none, n, n, n, -2, f, inner, 0, grad_z);
  if (p > 0) {
    add_adjoint<T>(n, grad_z, 1, 0, inner);
    multiply<T>(none, none, p, n, n, 1, y, inner, -2, grad_y);
  }
  add_adjoint<T>(n, grad_z, -1, 0, grad_w);
}

// dq of one matrix, as derived above; dz and dz_f have room for a square.
template <class T>
void tangent(const Extents& e, const T* w, const T* f, const T* dw, T* dz, T* dz_f, T* dq) {
  const std::int64_t n = e.n;
  const std::int64_t p = e.p();
  const T* y = w + e.square();
  const T* dy = dw + e.square();
  add_adjoint<T>(n, dw, -1, 0, dz);
  if (p > 0) {
    multiply<T>(adjoint, none, n, n, p, 1, dy, y, 0, dz_f);
    add_adjoint<T>(n, dz_f, 1, 1, dz);
  }
  multiply<T>(none, none, n, n, n, 1, dz, f, 0, dz_f);
  multiply<T>(none, none, n, n, n, -2, f, dz_f, 0, dq);  // dt = 2 df
  multiply<T>(none, none, p, n, n, -2, dy, f, 0, dq + e.square());
  multiply<T>(none, none, p, n, n, -1, y, dq, 1, dq + e.square());
}

template <class T>
Tensor oriented(const Tensor& x, bool wide) {
  return wide ? swapped<T>(x) : x;
}

}  // namespace

Var cayley_complex(const Var& w_var) {
  const Tensor& original = w_var.value();
  require<ShapeError>(original.rank() == 4 && original.dim(3) == 2,
                      "cayley_complex: expected w of shape [b, m, n, 2], got ", original.shape());
  return dispatch_float(original.dtype(), "cayley_complex", [&]<class T>() {
    const bool wide = original.dim(1) < original.dim(2);
    const Tensor w = oriented<T>(original, wide);
    const Extents e{w.dim(0), w.dim(1), w.dim(2)};

    Tensor q(w.shape(), w.dtype());
    Tensor f(e.squares(), w.dtype());
    {
      Tensor room(e.squares(), w.dtype());
      T* z = room.write<T>();
      T* to_q = q.write<T>();
      T* to_f = f.write<T>();
      parallel_jobs(e.b, [&, from = w.data<T>()](std::int64_t b) {
        forward(e, from + b * e.matrix(), z + b * e.square(), to_q + b * e.matrix(),
                to_f + b * e.square());
      });
    }
    require<NumericError>(all_finite(q), "cayley_complex: expected finite entries, not too large, ",
                          "got w of shape ", original.shape(), " with a transform that is not");

    auto vjp = [w, f, e, wide](const Tensor& dy, Needs) -> Grads<1> {
      const Tensor grad_q = oriented<T>(dy, wide);
      Tensor grad_w(w.shape(), w.dtype());
      Tensor room(e.squares(), w.dtype());
      T* u = room.write<T>();
      T* to = grad_w.write<T>();
      parallel_jobs(e.b, [&](std::int64_t b) {
        backward(e, w.data<T>() + b * e.matrix(), f.data<T>() + b * e.square(),
                 grad_q.data<T>() + b * e.matrix(), u + b * e.square(), to + b * e.matrix());
      });
      return {oriented<T>(grad_w, wide)};
    };
    auto jvp = [w, f, e, wide](const Tangents<1>& tangents) {
      const Tensor dw = oriented<T>(tangents[0], wide);
      Tensor dq(w.shape(), w.dtype());
      Tensor rooms({2, e.b, e.n, e.n, 2}, w.dtype());
      T* room = rooms.write<T>();
      T* to = dq.write<T>();
      parallel_jobs(e.b, [&](std::int64_t b) {
        tangent(e, w.data<T>() + b * e.matrix(), f.data<T>() + b * e.square(),
                dw.data<T>() + b * e.matrix(), room + b * e.square(), room + (e.b + b) * e.square(),
                to + b * e.matrix());
      });
      return oriented<T>(dq, wide);
    };
    return record(cayley_complex_op, oriented<T>(q, wide), {w_var}, {w}, std::move(vjp),
                  std::move(jvp));
  });
}

}  // namespace isotape
