#include <isotape/ops/matrix_exp.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

const Op matrix_exp_op("matrix_exp");

constexpr double largest_norm = 0x1p20;

// c = a b + beta c, all [n, n].
template <class T>
void multiply(std::int64_t n, const T* a, const T* b, T beta, T* c) {
  blas::gemm<T>(false, false, n, n, n, T{1}, a, n, b, n, beta, c, n);
}

// The largest column sum of |a|.
template <class T>
double one_norm(std::int64_t n, const T* a) {
  double largest = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += std::abs(double(a[i * n + j]));
    if (!(sum <= largest)) largest = sum;  // a NaN is kept
  }
  return largest;
}

// 1 / k!
constexpr std::array<double, 16> taylor = [] {
  std::array<double, 16> c{1};
  for (std::size_t k = 1; k < 16; ++k) c[k] = c[k - 1] / static_cast<double>(k);
  return c;
}();

// Of one matrix a' = a / 2^s: its powers 1 to 4, and what Horner's rule in a'^4 leaves,
//     p_3 = b_3,   p_i = b_i + a'^4 p_{i+1},   b_i = sum_{k<4} a'^k / (4 i + k)!,
// so that p_0 is the polynomial of degree 15; then its squares. [n, n] each.
template <class T>
struct Powers {
  std::int64_t n;
  T* at;  // a', a'^2, a'^3, a'^4, p_3, p_2, p_1
  T* operator()(int k) const { return at + (k - 1) * n * n; }
  T* horner(int i) const { return at + (7 - i) * n * n; }
};
constexpr int powers_kept = 7;

// y += sum_{k<4} x^k / (4 i + k)!, without the constant term where `derivative`.
template <class T>
void add_terms(const Powers<T>& x, std::size_t i, bool derivative, T* y) {
  const std::int64_t n = x.n;
  for (int k = 1; k < 4; ++k) {
    const T factor = static_cast<T>(taylor[4 * i + static_cast<std::size_t>(k)]);
    for (std::int64_t e = 0; e < n * n; ++e) y[e] += factor * x(k)[e];
  }
  if (derivative) return;
  const T constant = static_cast<T>(taylor[4 * i]);
  for (std::int64_t e = 0; e < n; ++e) y[e * (n + 1)] += constant;
}

// p_0 into y, with x(1) = a' given.
template <class T>
void polynomial(const Powers<T>& x, T* y) {
  const std::int64_t n = x.n;
  for (int k = 2; k <= 4; ++k) multiply<T>(n, x(k - 1), x(1), 0, x(k));
  std::fill_n(x.horner(3), n * n, T{0});
  add_terms(x, 3, false, x.horner(3));
  for (int i = 2; i >= 0; --i) {
    T* const to = i == 0 ? y : x.horner(i);
    multiply<T>(n, x(4), x.horner(i + 1), 0, to);
    add_terms(x, i, false, to);
  }
}

// The derivative of polynomial() along dx(1): product rule, in the same order.
template <class T>
void polynomial_derivative(const Powers<T>& x, const Powers<T>& dx, T* dy) {
  const std::int64_t n = x.n;
  for (int k = 2; k <= 4; ++k) {
    multiply<T>(n, dx(k - 1), x(1), 0, dx(k));
    multiply<T>(n, x(k - 1), dx(1), 1, dx(k));
  }
  std::fill_n(dx.horner(3), n * n, T{0});
  add_terms(dx, 3, true, dx.horner(3));
  for (int i = 2; i >= 0; --i) {
    T* const to = i == 0 ? dy : dx.horner(i);
    multiply<T>(n, dx(4), x.horner(i + 1), 0, to);
    multiply<T>(n, x(4), dx.horner(i + 1), 1, to);
    add_terms(dx, i, true, to);
  }
}

// to = 2^-s from, transposed or not.
template <class T>
void scaled(std::int64_t n, int s, bool trans, const T* from, T* to) {
  const T factor = static_cast<T>(std::ldexp(1.0, -s));
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      to[i * n + j] = factor * from[trans ? j * n + i : i * n + j];
    }
  }
}

// What the derivative of one matrix needs: s and p_0, p_0^2, .. p_0^(2^(s-1)).
struct Squares {
  int s = 0;
  Tensor x;  // [s, n, n]
};

template <class T>
Squares exponential(std::int64_t n, const T* a, T* y) {
  const double norm = one_norm(n, a);
  require<NumericError>(norm <= largest_norm, "matrix_exp: expected |a|_1 of at most ",
                        largest_norm, ", got ", norm);
  Squares squares;
  while (std::ldexp(norm, -squares.s) > 0.5) ++squares.s;
  Tensor work({powers_kept, n, n}, dtype_of<T>());
  const Powers<T> x{n, work.write<T>()};
  scaled(n, squares.s, false, a, x(1));
  polynomial(x, y);
  squares.x = Tensor({squares.s, n, n}, dtype_of<T>());
  T* to = squares.x.write<T>();
  for (int k = 0; k < squares.s; ++k, to += n * n) {
    std::copy_n(y, n * n, to);
    multiply<T>(n, to, to, 0, y);
  }
  return squares;
}

// exp'(a)[da], or the adjoint exp'(a)*[da] = exp'(a^T)[da]. With x_0 = p(a / 2^s) and
// x_{k+1} = x_k^2,
//     dx_0 = p'(a / 2^s)[da / 2^s],   dx_{k+1} = dx_k x_k + x_k dx_k.
template <class T>
void derivative(std::int64_t n, bool adjoint, const T* a, const Squares& squares, const T* da,
                T* dy) {
  Tensor work({2 * powers_kept + 2, n, n}, dtype_of<T>());
  T* const memory = work.write<T>();
  const Powers<T> x{n, memory};
  const Powers<T> dx{n, memory + powers_kept * n * n};
  T* const factor = memory + std::int64_t{2} * powers_kept * n * n;
  T* const previous = factor + n * n;
  scaled(n, squares.s, adjoint, a, x(1));
  scaled(n, squares.s, false, da, dx(1));
  polynomial(x, factor);
  polynomial_derivative(x, dx, dy);
  for (int k = 0; k < squares.s; ++k) {
    scaled(n, 0, adjoint, squares.x.data<T>() + k * n * n, factor);
    std::copy_n(dy, n * n, previous);
    multiply<T>(n, previous, factor, 0, dy);
    multiply<T>(n, factor, previous, 1, dy);
  }
}

}  // namespace

Var matrix_exp(const Var& a_var) {
  const Tensor& a = a_var.value();
  require<ShapeError>((a.rank() == 2 || a.rank() == 3) && a.dim(-1) == a.dim(-2),
                      "matrix_exp: expected a of shape [n, n] or [b, n, n], got ", a.shape());
  return dispatch_float(a.dtype(), "matrix_exp", [&]<class T>() {
    const std::int64_t n = a.dim(-1);
    const std::int64_t count = a.rank() == 3 ? a.dim(0) : 1;
    Tensor y(a.shape(), a.dtype());
    std::vector<Squares> squares(static_cast<std::size_t>(count));
    parallel_jobs(count, [&, to = y.write<T>()](std::int64_t b) {
      squares[static_cast<std::size_t>(b)] =
          exponential(n, a.data<T>() + b * n * n, to + b * n * n);
    });
    const auto derivatives = [a, n, count, squares = std::move(squares)](bool adjoint,
                                                                         const Tensor& da) {
      Tensor dy(a.shape(), a.dtype());
      parallel_jobs(count, [&, to = dy.write<T>()](std::int64_t b) {
        const std::int64_t at = b * n * n;
        derivative(n, adjoint, a.data<T>() + at, squares[static_cast<std::size_t>(b)],
                   da.data<T>() + at, to + at);
      });
      return dy;
    };
    auto vjp = [derivatives](const Tensor& dy, Needs) -> Grads<1> {
      return {derivatives(true, dy)};
    };
    auto jvp = [derivatives](const Tangents<1>& tangents) {
      return derivatives(false, tangents[0]);
    };
    return record(matrix_exp_op, std::move(y), {a_var}, {a}, std::move(vjp), std::move(jvp));
  });
}

Var skew_exp(const Var& w) {
  require<ShapeError>(w.value().rank() == 2 || w.value().rank() == 3,
                      "skew_exp: expected w of shape [m, n] or [b, m, n], got ", w.shape());
  if (w.dim(-2) < w.dim(-1)) return transpose(skew_exp(transpose(w)));
  const std::int64_t n = w.dim(-1);
  Var square = w;
  if (w.dim(-2) > n) {
    const Shape rest = w.shape().with(-1, w.dim(-2) - n);
    square = concat({w, Tensor::zeros(rest, w.dtype())}, -1);
  }
  return slice(matrix_exp(square - transpose(square)), -1, 0, n);
}

}  // namespace isotape
