#include <isotape/ops/cholesky_qr.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/polar.hpp>

namespace isotape {
namespace {

const Op cholesky_qr_op("cholesky_qr");

constexpr DType f64 = DType::f64;
constexpr double largest_condition = 1e6;
// Up to this condition one pass leaves a defect far below the rounding of f32.
constexpr double one_pass_condition = 1e4;
// From this size on a matrix gets all threads of BLAS, below it each has one.
constexpr std::int64_t threaded_size = 512;
// In multiplications: about 0.1 ms.
constexpr double worth_a_thread = 5e5;

PolarShape shape_of(const Tensor& w) {
  require<ShapeError>((w.rank() == 2 || w.rank() == 3) && w.size() > 0,
                      "cholesky_qr: expected w of shape [m, n] or [b, m, n], got ", w.shape());
  return {w.dim(-2), w.dim(-1)};
}

// Calls body(index) for all matrices of w.
template <class F>
void for_matrices(const Tensor& w, F&& body) {
  const PolarShape shape = shape_of(w);
  const std::int64_t count = w.size() / shape.size();
  const auto cost = static_cast<double>(w.size()) * static_cast<double>(shape.small());
  const auto in_turn = [&](std::int64_t) {
    for (std::int64_t i = 0; i < count; ++i) body(i);
  };
  if (shape.small() >= threaded_size) {
    in_turn(0);
  } else if (cost < worth_a_thread) {
    parallel_jobs(1, in_turn);
  } else {
    parallel_jobs(count, body);
  }
}

// a' = a' x^T (trans), or a' x, for a lower triangular x; a' = a if tall, a^T if not.
void apply(PolarShape shape, bool trans, const double* x, double* a) {
  blas::triangular_product(!shape.wide(), shape.wide() != trans, shape.m, shape.n, x, a);
}

double condition_of_factor(std::int64_t n, const double* l) {
  Tensor work({n + 1, n}, f64);
  auto* const sigma = work.write<double>();
  std::copy(l, l + n * n, sigma + n);
  blas::singular_values(n, n, sigma + n, sigma);
  return sigma[0] / sigma[n - 1];
}

// x = l^-1 of a' [., n], a'^T a' = l l^T. Returns the condition of l, or an upper bound of it
// where that is at most largest_condition: |l|_2^2 = |a'^T a'|_2 <= the largest sum of a row.
double inverse_factor(PolarShape shape, const double* a, double* x) {
  const std::int64_t n = shape.small();
  shape.gram(a, x);
  double largest_row = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    double row = 0;
    for (std::int64_t j = 0; j < n; ++j) row += std::abs(x[i * n + j]);
    largest_row = std::max(largest_row, row);
  }
  if (!blas::cholesky(n, x)) return std::numeric_limits<double>::infinity();
  Tensor factor({n, n}, f64);
  std::copy(x, x + n * n, factor.write<double>());
  blas::triangular_inverse(n, x);
  double squares = 0;
  for (std::int64_t i = 0; i < n * n; ++i) squares += x[i] * x[i];
  const double bound = std::sqrt(largest_row) * std::sqrt(squares);
  return bound <= largest_condition ? bound : condition_of_factor(n, factor.data<double>());
}

// q' = w' x^T with x = l^-1 [n, n].
template <class T>
void factorise(PolarShape shape, const T* w, T* q, double* x, std::int64_t matrix) {
  polar_require_finite("cholesky_qr", shape, w, matrix);
  const std::int64_t n = shape.small();
  Tensor wide({shape.m, shape.n}, f64);
  auto* const a = wide.write<double>();
  std::copy(w, w + shape.size(), a);
  const double condition = inverse_factor(shape, a, x);
  require<NumericError>(condition <= largest_condition, "cholesky_qr: expected full ",
                        shape.wide() ? "row" : "column", " rank, got condition ", condition,
                        " (at most ", largest_condition, ") of matrix ", matrix);
  apply(shape, true, x, a);
  if (std::is_same_v<T, double> || condition > one_pass_condition) {
    Tensor second({n, n}, f64);
    auto* const y = second.write<double>();
    inverse_factor(shape, a, y);
    apply(shape, true, y, a);
    blas::triangular_product(false, false, n, n, y, x);  // (l y^-1)^-1
  }
  std::transform(a, a + shape.size(), q, [](double entry) { return static_cast<T>(entry); });
}

// With w = q r, r = l^T, and a dot for a tangent: wdot r^-1 = qdot + q rdot r^-1. Of
// a = q^T wdot r^-1 = q^T qdot + rdot r^-1 the first part is skew, the second upper triangular, so
// the second is u(a), u(a)_ij = a_ij + a_ji above the diagonal, a_ii on it, 0 below. Hence
//
//     qdot = y - q u(q^T y),   y = wdot r^-1.
//
// The adjoint of u takes k to the symmetric matrix s(k) with k's upper triangle, the copyltu of
// k^T. With x = l^-1 = r^-T,
//
//     grad_w = (dq - q s(q^T dq)) x.
enum class Direction : std::uint8_t { forward, backward };

template <class T>
void derivative(Direction direction, PolarShape shape, const T* q, const double* x, const T* dq,
                T* dw) {
  const std::int64_t n = shape.small();
  const bool forward = direction == Direction::forward;
  Tensor work({2, shape.m, shape.n}, f64);
  auto* const y = work.write<double>();
  double* const q64 = y + shape.size();
  std::copy(dq, dq + shape.size(), y);
  std::copy(q, q + shape.size(), q64);
  if (forward) apply(shape, true, x, y);

  Tensor inner({2, n, n}, f64);
  auto* const k = inner.write<double>();
  shape.inner(q64, y, k);
  for_pairs(n, [&](std::int64_t i, std::int64_t j) {  // j <= i
    if (i == j) {
      k[i * n + i] = -k[i * n + i];
    } else if (forward) {
      k[j * n + i] = -k[j * n + i] - k[i * n + j];
      k[i * n + j] = 0;
    } else {
      k[j * n + i] = -k[j * n + i];
      k[i * n + j] = k[j * n + i];
    }
  });
  shape.apply(q64, k, 1.0, y);
  if (!forward) apply(shape, false, x, y);
  std::transform(y, y + shape.size(), dw, [](double entry) { return static_cast<T>(entry); });
}

template <class T>
Tensor derivatives(Direction direction, const Tensor& q, const Tensor& x, const Tensor& dq) {
  const PolarShape shape = shape_of(q);
  const std::int64_t square = shape.small() * shape.small();
  Tensor dw(q.shape(), q.dtype());
  auto* const to = dw.write<T>();
  for_matrices(q, [&](std::int64_t i) {
    derivative(direction, shape, q.data<T>() + i * shape.size(), x.data<double>() + i * square,
               dq.data<T>() + i * shape.size(), to + i * shape.size());
  });
  return dw;
}

}  // namespace

Var cholesky_qr(const Var& w_var) {
  const Tensor& w = w_var.value();
  const PolarShape shape = shape_of(w);
  const std::int64_t square = shape.small() * shape.small();
  return dispatch_float(w.dtype(), "cholesky_qr", [&]<class T>() {
    Tensor q(w.shape(), w.dtype());
    Tensor x({w.size() / shape.size(), shape.small(), shape.small()}, f64);
    auto* const to_q = q.write<T>();
    auto* const to_x = x.write<double>();
    for_matrices(w, [&](std::int64_t i) {
      factorise(shape, w.data<T>() + i * shape.size(), to_q + i * shape.size(), to_x + i * square,
                i);
    });
    auto vjp = [q, x](const Tensor& dq, Needs) -> Grads<1> {
      return {derivatives<T>(Direction::backward, q, x, dq)};
    };
    auto jvp = [q, x](const Tangents<1>& tangents) {
      return derivatives<T>(Direction::forward, q, x, tangents[0]);
    };
    return record(cholesky_qr_op, q, {w_var}, {q}, std::move(vjp), std::move(jvp));
  });
}

}  // namespace isotape
