#include <isotape/ops/cayley.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/op.hpp>
#include <isotape/core/tensor.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

const Op cayley_op("cayley");

// Tall matrices [b, m, n], m = n + p >= n; job b works on the b-th of each tensor.
struct Extents {
  std::int64_t b;
  std::int64_t m;
  std::int64_t n;
  std::int64_t p() const { return m - n; }
  std::int64_t matrix() const { return m * n; }
  std::int64_t square() const { return n * n; }
};

// [b, m, n] to [b, n, m], in tiles that fit the cache.
template <class T>
Tensor swapped(const Tensor& x) {
  constexpr std::int64_t tile = 16;
  const std::int64_t m = x.dim(1);
  const std::int64_t n = x.dim(2);
  const std::int64_t strips = (n + tile - 1) / tile;
  Tensor y({x.dim(0), n, m}, x.dtype());
  const T* from = x.data<T>();
  T* to = y.write<T>();
  const auto move = [=](std::int64_t strip, std::int64_t top) {
    const std::int64_t origin = strip / strips * m * n;
    const std::int64_t left = strip % strips * tile;
    for (std::int64_t j = left; j < std::min(left + tile, n); ++j) {
      for (std::int64_t i = top; i < std::min(top + tile, m); ++i) {
        to[origin + j * m + i] = from[origin + i * n + j];
      }
    }
  };
  parallel_for(x.dim(0) * strips, 1 + 1024 / (m + 1), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t strip = begin; strip < end; ++strip) {
      for (std::int64_t top = 0; top < m; top += tile) move(strip, top);
    }
  });
  return y;
}

// c = alpha op(a) op(b) + beta c, densely stored.
template <class T>
void multiply(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, T alpha,
              const T* a, const T* b, T beta, T* c) {
  blas::gemm<T>(trans_a, trans_b, m, n, k, alpha, a, trans_a ? m : k, b, trans_b ? k : n, beta, c,
                n);
}

// z += x - x^T
template <class T>
void add_skew(std::int64_t n, const T* x, T* z) {
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) z[i * n + j] += x[i * n + j] - x[j * n + i];
  }
}

// Note [Polishing a Cayley transform]
//
// q is orthonormal to rounding times the condition of I + z, at most |I + z| since |f| <= 1. Where
// z is large, steps of q <- q (3 I - q^T q) / 2 take the rounding out again: they move q by no more
// than its defect, which they square.

// max |q^T q - I|, with q^T q left in gram [n, n].
template <class T>
double gram_defect(const Extents& e, const T* q, T* gram) {
  blas::syrk<T>(true, e.n, e.m, 1, q, e.n, 0, gram, e.n);
  double defect = 0;
  for (std::int64_t i = 0; i < e.square(); ++i) {
    const double entry = std::abs(double(gram[i]) - (i / e.n == i % e.n ? 1 : 0));
    if (!(entry <= defect)) defect = entry;  // a NaN is kept
  }
  return defect;
}

template <class T>
void polish(const Extents& e, T* q) {
  constexpr auto epsilon = double(std::numeric_limits<T>::epsilon());
  Tensor gram({e.n, e.n}, dtype_of<T>());
  Tensor previous({e.m, e.n}, dtype_of<T>());
  T* g = gram.write<T>();
  T* from = previous.write<T>();
  double defect = gram_defect(e, q, g);
  require<NumericError>(defect < 0.5,
                        "cayley: expected q^T q within 0.5 of I before polishing, got ", defect,
                        "; the entries of w are too large");
  while (defect > 4 * epsilon) {
    std::copy_n(q, e.matrix(), from);
    multiply<T>(false, false, e.m, e.n, e.n, T(-0.5), from, g, T(1.5), q);
    if (defect * defect < epsilon) return;
    defect = gram_defect(e, q, g);
  }
}

// q and f of one matrix.
template <class T>
void forward(const Extents& e, const T* w, T* q, T* f) {
  constexpr double small_enough = 4;
  const std::int64_t n = e.n;
  const T* y = w + e.square();
  Tensor lu = Tensor::zeros({n, n}, dtype_of<T>());
  T* z = lu.write<T>();
  if (e.p() > 0) blas::syrk<T>(true, n, e.p(), 1, y, n, 0, z, n);
  add_skew(n, w, z);
  for (std::int64_t i = 0; i < n; ++i) z[i * n + i] += 1;
  const double size = frobenius_norm(lu) / std::sqrt(double(n));  // 1 for z = 0
  std::vector<int> pivots(static_cast<std::size_t>(n));
  blas::lu_factor(n, z, pivots.data());
  blas::lu_inverse(n, z, pivots.data(), f);
  for (std::int64_t i = 0; i < e.square(); ++i) q[i] = 2 * f[i];
  for (std::int64_t i = 0; i < n; ++i) q[i * n + i] -= 1;
  multiply<T>(false, false, e.p(), n, n, -2, y, f, 0, q + e.square());
  if (!(size <= small_enough)) polish(e, q);
}

// With dq = [dt; ds], df = -f dz f, dz = dx - dx^T + dy^T y + y^T dy:
//     dt = 2 df,   ds = -2 dy f - 2 y df.
// Pairing with the upstream [grad_t; grad_s] and collecting dz, then dx and dy:
//     r      = grad_s f^T
//     grad_z = -2 f^T (grad_t f^T - y^T r)
//     grad_x = grad_z - grad_z^T
//     grad_y = y (grad_z + grad_z^T) - 2 r.
template <class T>
void backward(const Extents& e, const T* w, const T* f, const T* grad_q, T* grad_w) {
  const std::int64_t n = e.n;
  const std::int64_t p = e.p();
  const T* y = w + e.square();
  T* grad_y = grad_w + e.square();
  Tensor inner({n, n}, dtype_of<T>());
  Tensor outer({n, n}, dtype_of<T>());
  T* u = inner.write<T>();
  T* grad_z = outer.write<T>();
  multiply<T>(false, true, p, n, n, 1, grad_q + e.square(), f, 0, grad_y);  // r
  multiply<T>(false, true, n, n, n, 1, grad_q, f, 0, u);
  multiply<T>(true, false, n, n, p, -1, y, grad_y, 1, u);
  multiply<T>(true, false, n, n, n, -2, f, u, 0, grad_z);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      grad_w[i * n + j] = grad_z[i * n + j] - grad_z[j * n + i];
      u[i * n + j] = grad_z[i * n + j] + grad_z[j * n + i];
    }
  }
  multiply<T>(false, false, p, n, n, 1, y, u, -2, grad_y);
}

// dq of one matrix, as derived above.
template <class T>
void tangent(const Extents& e, const T* w, const T* f, const T* dw, T* dq) {
  const std::int64_t n = e.n;
  const std::int64_t p = e.p();
  const T* y = w + e.square();
  const T* dy = dw + e.square();
  Tensor differential = Tensor::zeros({n, n}, dtype_of<T>());
  Tensor product({n, n}, dtype_of<T>());
  T* dz = differential.write<T>();
  T* dz_f = product.write<T>();
  multiply<T>(true, false, n, n, p, 1, dy, y, 0, dz_f);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) dz[i * n + j] = dz_f[i * n + j] + dz_f[j * n + i];
  }
  add_skew(n, dw, dz);
  multiply<T>(false, false, n, n, n, 1, dz, f, 0, dz_f);
  multiply<T>(false, false, n, n, n, -2, f, dz_f, 0, dq);  // dt = 2 df
  multiply<T>(false, false, p, n, n, -2, dy, f, 0, dq + e.square());
  multiply<T>(false, false, p, n, n, -1, y, dq, 1, dq + e.square());
}

// A matrix or stack as tall matrices [b, m, n]; a tall stack in the shape of w.
template <class T>
Tensor to_tall(const Tensor& x, bool wide) {
  const Tensor stack = x.rank() == 3 ? x : x.reshaped({1, x.dim(0), x.dim(1)});
  return wide ? swapped<T>(stack) : stack;
}

template <class T>
Tensor from_tall(const Tensor& stack, bool wide, const Shape& shape) {
  return (wide ? swapped<T>(stack) : stack).reshaped(shape);
}

}  // namespace

Var cayley(const Var& w_var) {
  const Tensor& original = w_var.value();
  require<ShapeError>(original.rank() == 2 || original.rank() == 3,
                      "cayley: expected w of shape [m, n] or [b, m, n], got ", original.shape());
  return dispatch_float(original.dtype(), "cayley", [&]<class T>() {
    require<NumericError>(all_finite(original), "cayley: expected finite entries, got w of shape ",
                          original.shape(), " with NaN or infinity");
    const Shape shape = original.shape();
    const bool wide = shape[-2] < shape[-1];
    const Tensor w = to_tall<T>(original, wide);
    const Extents e{w.dim(0), w.dim(1), w.dim(2)};

    Tensor q(w.shape(), w.dtype());
    Tensor f({e.b, e.n, e.n}, w.dtype());
    T* to_q = q.write<T>();
    T* to_f = f.write<T>();
    parallel_jobs(e.b, [&, from = w.data<T>()](std::int64_t b) {
      forward(e, from + b * e.matrix(), to_q + b * e.matrix(), to_f + b * e.square());
    });

    auto vjp = [w, f, e, wide, shape](const Tensor& dy, Needs) -> Grads<1> {
      const Tensor grad_q = to_tall<T>(dy, wide);
      Tensor grad_w(w.shape(), w.dtype());
      T* to = grad_w.write<T>();
      parallel_jobs(e.b, [&](std::int64_t b) {
        backward(e, w.data<T>() + b * e.matrix(), f.data<T>() + b * e.square(),
                 grad_q.data<T>() + b * e.matrix(), to + b * e.matrix());
      });
      return {from_tall<T>(grad_w, wide, shape)};
    };
    auto jvp = [w, f, e, wide, shape](const Tangents<1>& tangents) {
      const Tensor dw = to_tall<T>(tangents[0], wide);
      Tensor dq(w.shape(), w.dtype());
      T* to = dq.write<T>();
      parallel_jobs(e.b, [&](std::int64_t b) {
        tangent(e, w.data<T>() + b * e.matrix(), f.data<T>() + b * e.square(),
                dw.data<T>() + b * e.matrix(), to + b * e.matrix());
      });
      return from_tall<T>(dq, wide, shape);
    };
    return record(cayley_op, from_tall<T>(q, wide, shape), {w_var}, {w}, std::move(vjp),
                  std::move(jvp));
  });
}

}  // namespace isotape
