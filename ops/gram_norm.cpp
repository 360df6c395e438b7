#include <isotape/ops/gram_norm.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reshape.hpp>

// With A_0 = G / c_0 and A_{k+1} = A_k^2 / c_{k+1}, c the Frobenius norms, all entries stay within
// [-1, 1], and G^(2^k) = n_k A_k with log n_{k+1} = 2 log n_k + log c_{k+1}. Then
//
//     s^2 = n_5^(1/32),   G^63 / ||G^32||_F^2 = (n_0 n_1 n_2 n_3 n_4 / n_5) A_0 A_1 A_2 A_3 A_4
//     A_5,
//
// as 1 + 2 + 4 + 8 + 16 + 32 = 63. The powers commute, and so their product is symmetric. With
// ds^2 = (s^2 / 32) d log ||G^32||_F and d ||G^32||_F^2 = 64 <G^63, dG>:
//
//     ds^2 = s^2 <G^63, dG> / ||G^32||_F^2,   dG = dw w^T + w dw^T.

namespace isotape {
namespace {

const Op gram_norm_op("gram_norm_squared");

constexpr int squarings = 5;

// The powers of the Gram matrix on the smaller side, each of Frobenius norm 1.
struct Powers {
  bool rows = true;  // G = w w^T, [m, m]; else w^T w, [n, n]
  std::int64_t n = 0;
  double square = 0;  // s^2
  double factor = 0;  // of the product of powers in G^63 / ||G^32||_F^2
  std::array<Tensor, squarings + 1> a = {};
};

// Divides by the Frobenius norm, which is returned.
template <class T>
double normalize(Tensor& a) {
  const double norm = frobenius_norm(a);
  require<NumericError>(std::isfinite(norm),
                        "gram_norm_squared: expected finite entries, got a norm of ", norm);
  if (norm == 0) return 0;
  T* const entries = a.write<T>();
  for (std::int64_t i = 0; i < a.size(); ++i) {
    entries[i] = static_cast<T>(double(entries[i]) / norm);
  }
  return norm;
}

template <class T>
Powers powers_of(const Tensor& w) {
  const std::int64_t m = w.dim(0);
  const std::int64_t k = w.dim(1);
  Powers p{.rows = m <= k, .n = std::min(m, k)};
  // Of w / |w|_F, so that no square overflows.
  Tensor unit = w.clone();
  const double scale = normalize<T>(unit);
  if (scale == 0) return p;
  double log_n = 0;
  double log_factor = 0;
  for (int i = 0; i <= squarings; ++i) {
    Tensor& a = p.a[static_cast<std::size_t>(i)];
    a = Tensor({p.n, p.n}, w.dtype());
    if (i == 0) {
      blas::syrk<T>(!p.rows, p.n, std::max(m, k), T{1}, unit.data<T>(), k, T{0}, a.write<T>(), p.n);
    } else {
      const T* const half = p.a[static_cast<std::size_t>(i) - 1].template data<T>();
      blas::syrk<T>(false, p.n, p.n, T{1}, half, p.n, T{0}, a.write<T>(), p.n);
    }
    log_n = 2 * log_n + std::log(normalize<T>(a));
    log_factor += i < squarings ? log_n : -log_n;
  }
  p.square = std::exp(log_n / 32) * scale * scale;
  p.factor = std::exp(log_factor) / (scale * scale);
  return p;
}

// H = G^63 / ||G^32||_F^2, of norm 1 / s^2 about.
template <class T>
Tensor derivative(const Powers& p) {
  Tensor product = p.a[0];
  for (int i = 1; i <= squarings; ++i) {
    Tensor next({p.n, p.n}, product.dtype());
    blas::gemm<T>(false, false, p.n, p.n, p.n, T{1}, product.data<T>(), p.n,
                  p.a[static_cast<std::size_t>(i)].template data<T>(), p.n, T{0}, next.write<T>(),
                  p.n);
    product = std::move(next);
  }
  return scale(product, p.factor).value();
}

// grad of s^2: 2 s^2 H w, or 2 s^2 w H.
template <class T>
Tensor gradient(const Powers& p, const Tensor& w) {
  if (p.square == 0) return Tensor::zeros(w.shape(), w.dtype());
  const Tensor h = derivative<T>(p);
  const std::int64_t m = w.dim(0);
  const std::int64_t n = w.dim(1);
  Tensor grad(w.shape(), w.dtype());
  const auto twice = static_cast<T>(2 * p.square);
  const T* const left = p.rows ? h.data<T>() : w.data<T>();
  const T* const right = p.rows ? w.data<T>() : h.data<T>();
  blas::gemm<T>(false, false, m, n, p.n, twice, left, p.n, right, n, T{0}, grad.write<T>(), n);
  return grad;
}

}  // namespace

Var gram_norm_squared(const Var& w_var) {
  const Tensor& w = w_var.value();
  require<ShapeError>(w.rank() == 2 && w.size() > 0,
                      "gram_norm_squared: expected w of shape [m, n], got ", w.shape());
  return dispatch_float(w.dtype(), "gram_norm_squared", [&]<class T>() {
    Powers p = powers_of<T>(w);
    const Tensor square = Tensor::full({1}, p.square, w.dtype());
    if (!is_recording({w_var})) return Var(square);
    auto vjp = [p, w](const Tensor& dy, Needs) -> Grads<1> {
      return {scale(gradient<T>(p, w), dy.item()).value()};
    };
    auto jvp = [p, w](const Tangents<1>& dw) {
      return Tensor::full({1}, dot(gradient<T>(p, w), dw[0]), w.dtype());
    };
    return record(gram_norm_op, square, {w_var}, {w}, std::move(vjp), std::move(jvp));
  });
}

Var conv_norm_squared(const Var& w, std::int64_t groups) {
  const Shape& shape = w.shape();
  require<ShapeError>(shape.rank() == 4 && shape.size() > 0,
                      "conv_norm_squared: expected w of shape [O, h, v, I], got ", shape);
  require<ShapeError>(groups >= 1 && shape[0] % groups == 0,
                      "conv_norm_squared: expected groups that divide the filters of ", shape,
                      ", got ", groups);
  if (groups > 1) {
    Vars squares;
    const std::int64_t rows = shape[0] / groups;
    for (std::int64_t at = 0; at < shape[0]; at += rows) {
      squares.push_back(conv_norm_squared(slice(w, 0, at, at + rows)));
    }
    return concat(squares, 0);
  }
  const std::int64_t taps = shape[1] * shape[2];
  Var by_output = gram_norm_squared(reshape(w, {shape[0], taps * shape[3]}));
  if (taps == 1) return by_output;
  const Var by_input = gram_norm_squared(reshape(w, {shape[0] * taps, shape[3]}));
  const bool first = by_output.value().item() <= by_input.value().item();
  return scale(first ? by_output : by_input, static_cast<double>(taps));
}

}  // namespace isotape
