#include <isotape/ops/spectral_bound.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/ops/definite_bound.hpp>
#include <isotape/ops/roundoff.hpp>

// See Note [Rounding in bounds] in ops/roundoff.hpp.
//
// Underflow: all matrices below are scaled by a power of two so that the largest absolute entry is
// in [1, 2). Each of the norms here is then >= 1, while what underflow can add is at most (number
// of operations) 2^-1022 < 2^-900. It is swallowed by any one of the factors up().

namespace isotape {
namespace {

using roundoff::down;
using roundoff::gamma;
using roundoff::infinity;
using roundoff::sum_up;
using roundoff::up;
constexpr int squarings = 5;
// Of c: a residual below it bounds the norm to as much, and better the smaller it is.
constexpr double nearly_isometric = 0x1p-10;

// A matrix [m, n] in f64, a = 2^-exponent w: exact, but for entries that underflow.
struct Scaled {
  std::int64_t m = 0;
  std::int64_t n = 0;
  Tensor a;
  int exponent = 0;
  double special = -1;  // the bound itself, if >= 0 or NaN: of a matrix that is 0 or not finite

  std::int64_t small() const { return std::min(m, n); }
  std::int64_t large() const { return std::max(m, n); }
  bool is_special() const { return !(special < 0); }
  // The bound of w from one of a: infinity where the computation overflowed. The product may round
  // to a subnormal number, hence the next one.
  double unscale(double bound) const {
    if (std::isnan(bound)) return infinity;
    return std::nextafter(std::ldexp(bound, exponent), infinity);
  }
  // Limits of the singular values of w from those of the eigenvalues of a^T a. A lower one after a
  // single rounding; down() takes more off than it and the root.
  Enclosure unscale(const Enclosure& square) const {
    const double lower =
        square.lower > 0
            ? std::nextafter(std::ldexp(down(std::sqrt(down(square.lower))), exponent), 0.0)
            : 0;
    return {lower, unscale(up(std::sqrt(square.upper)))};
  }
};

// Brings the largest absolute entry to [1, 2); returns the exponent taken out; 0 for zeros and for
// what is not finite, which stays as it is.
int normalise(std::int64_t size, double* a) {
  double largest = 0;
  for (std::int64_t i = 0; i < size; ++i) largest = std::max(largest, std::abs(a[i]));
  if (largest == 0 || !std::isfinite(largest)) return 0;
  const int exponent = std::ilogb(largest);
  for (std::int64_t i = 0; i < size; ++i) a[i] = std::ldexp(a[i], -exponent);
  return exponent;
}

Scaled widen(const char* name, const Tensor& w) {
  require<ShapeError>(w.rank() == 2, name, ": expected a matrix [m, n], got ", w.shape());
  Scaled s{w.dim(0), w.dim(1), {}};
  dispatch_float(w.dtype(), name, [&]<class T>() {
    s.a = Tensor(w.shape(), DType::f64);
    std::copy_n(w.data<T>(), w.size(), s.a.write<double>());
  });
  double largest = 0;
  for (const double entry : s.a.values<double>()) {
    if (std::isnan(entry)) {
      s.special = entry;
      return s;
    }
    largest = std::max(largest, std::abs(entry));
  }
  if (largest == 0 || largest == infinity) s.special = largest;
  return s;
}

Scaled scaled(const char* name, const Tensor& w) {
  Scaled s = widen(name, w);
  if (!s.is_special()) s.exponent = normalise(w.size(), s.a.write<double>());
  return s;
}

// >= ||a||_F^2. A term meets its own square, the n - 1 additions of its row and the m - 1 of rows.
double frobenius_squared(std::int64_t m, std::int64_t n, const double* a) {
  double total = 0;
  for (std::int64_t i = 0; i < m; ++i) {
    double row = 0;
    for (std::int64_t j = 0; j < n; ++j) row += a[i * n + j] * a[i * n + j];
    total += row;
  }
  return sum_up(total, m + n);
}

// >= ||a||_1 ||a||_inf, and so >= || |a| ||^2, the square of the norm of the absolute values.
double row_column_product(std::int64_t m, std::int64_t n, const double* a) {
  std::vector<double> columns(static_cast<std::size_t>(n), 0.0);
  double row_max = 0;
  for (std::int64_t i = 0; i < m; ++i) {
    double row = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      row += std::abs(a[i * n + j]);
      columns[static_cast<std::size_t>(j)] += std::abs(a[i * n + j]);
    }
    row_max = std::max(row_max, row);
  }
  const double column_max = *std::max_element(columns.begin(), columns.end());
  return up(sum_up(row_max, n) * sum_up(column_max, m));
}

// >= || |a| ||^2: the factor of gamma in what rounding adds to the norm of a product of a's.
double absolute_norm_squared(std::int64_t m, std::int64_t n, const double* a) {
  return std::min(frobenius_squared(m, n, a), row_column_product(m, n, a));
}

// >= the norm of a symmetric x [n, n], which is overwritten. For t squarings, with y = fl(x x),
//     ||x||^2 = ||x x|| <= ||y|| + ||x x - y|| <= ||y|| + gamma(n) || |x| ||^2,
// and ||y|| by t - 1 squarings; at the end the Frobenius norm. y is exactly symmetric, as it is
// computed as one triangle.
double symmetric_norm(std::int64_t n, double* x, int t) {
  const int exponent = normalise(n * n, x);
  double square = frobenius_squared(n, n, x);
  if (square == 0) return 0;
  if (t > 0) {
    Tensor product({n, n}, DType::f64);
    auto* const y = product.write<double>();
    blas::syrk(false, n, n, 1.0, x, n, 0.0, y, n);
    const double rounding = up(gamma(n) * absolute_norm_squared(n, n, x));
    square = std::min(square, up(symmetric_norm(n, y, t - 1) + rounding));
  }
  return up(std::ldexp(up(std::sqrt(square)), exponent));
}

// a^T a on the small side.
Tensor gram(const Scaled& s) {
  const std::int64_t k = s.small();
  Tensor g({k, k}, DType::f64);
  blas::syrk(s.m >= s.n, k, s.large(), 1.0, s.a.data<double>(), s.n, 0.0, g.write<double>(), k);
  return g;
}

// >= ||a^T a - fl(a^T a)||.
double gram_rounding(const Scaled& s) {
  return up(gamma(s.large()) * absolute_norm_squared(s.m, s.n, s.a.data<double>()));
}

// norm >= ||a^T a - c I|| for any c >= 0, here the mean diagonal of g = fl(a^T a) as it comes out
// of its rounding: with d = fl(g - c I), one rounding on the diagonal, |d_ii - (g_ii - c)| <= u
// |d_ii| / (1 - u), so ||a^T a - c I|| <= ||a^T a - g|| + (1 + 2 u) ||d||. NaN on overflow.
struct Residual {
  double c = 0;
  double norm = 0;
};

Residual residual_of(const Scaled& s, const Tensor& g, int powers) {
  const std::int64_t k = s.small();
  Tensor residual = g.clone();
  auto* const d = residual.write<double>();
  Residual r;
  for (std::int64_t i = 0; i < k; ++i) r.c += d[i * k + i] / static_cast<double>(k);
  for (std::int64_t i = 0; i < k; ++i) d[i * k + i] -= r.c;
  r.norm = up(up(symmetric_norm(k, d, powers)) + gram_rounding(s));
  return r;
}

}  // namespace

double frobenius_bound(const Tensor& w) {
  const Scaled s = scaled("frobenius_bound", w);
  if (s.is_special()) return s.special;
  return s.unscale(up(std::sqrt(frobenius_squared(s.m, s.n, s.a.data<double>()))));
}

double row_column_bound(const Tensor& w) {
  const Scaled s = scaled("row_column_bound", w);
  if (s.is_special()) return s.special;
  return s.unscale(up(std::sqrt(row_column_product(s.m, s.n, s.a.data<double>()))));
}

// sigma^2 = ||a^T a|| <= ||g|| + ||a^T a - g||, g = fl(a^T a).
double gram_bound(const Tensor& w) {
  const Scaled s = scaled("gram_bound", w);
  if (s.is_special()) return s.special;
  Tensor g = gram(s);
  const double square =
      up(symmetric_norm(s.small(), g.write<double>(), squarings) + gram_rounding(s));
  return s.unscale(up(std::sqrt(square)));
}

// With g = fl(w^T w) and d = fl(g - I), one rounding on the diagonal, |d_ii - (g_ii - 1)| <= u
// |d_ii| / (1 - u): ||w^T w - I|| <= ||w^T w - g|| + ||g - I - d|| + ||d||, the middle at most 2 u
// ||d||, which one up() covers. w is not scaled here: an entry that overflows gives infinity, and
// what underflows, 2^-1022 at most per product, is less than the last term.
double isometry_defect_bound(const Tensor& w) {
  const Scaled s = widen("isometry_defect_bound", w);
  if (w.size() == 0) return 0;
  if (s.is_special()) return s.special == 0 ? 1 : s.special;
  const std::int64_t k = s.small();
  Tensor residual = gram(s);
  auto* const d = residual.write<double>();
  for (std::int64_t i = 0; i < k; ++i) d[i * k + i] -= 1;
  const double norm = up(up(symmetric_norm(k, d, squarings)) + gram_rounding(s));
  return std::isfinite(norm) ? up(norm + 0x1p-900) : infinity;
}

double near_isometry_bound(const Tensor& w) {
  const Scaled s = scaled("near_isometry_bound", w);
  if (s.is_special()) return s.special;
  const Residual r = residual_of(s, gram(s), squarings);
  return s.unscale(up(std::sqrt(up(r.c + r.norm))));
}

double spectral_norm_bound(const Tensor& w) {
  const Scaled s = widen("spectral_norm_bound", w);
  if (s.is_special()) return s.special;
  return std::min({frobenius_bound(w), row_column_bound(w), gram_bound(w), near_isometry_bound(w)});
}

// By powers of the residual where that is small, else by the eigenvalues of g = fl(a^T a), proved
// from their estimates; g is off by gram_rounding().
Enclosure singular_value_enclosure(const Tensor& w) {
  const Scaled s = scaled("singular_value_enclosure", w);
  if (s.is_special()) return {0, s.special};
  Tensor g = gram(s);
  Residual near = residual_of(s, g, 0);
  if (near.norm <= 64 * nearly_isometric * near.c) near = residual_of(s, g, squarings);
  if (near.norm <= nearly_isometric * near.c) {
    return s.unscale(Enclosure{near.c - near.norm, up(near.c + near.norm)});
  }
  const std::int64_t k = s.small();
  std::vector<double> values(static_cast<std::size_t>(k));
  Tensor spent = g.clone();
  blas::singular_values(k, k, spent.write<double>(), values.data());
  Enclosure square = eigenvalue_enclosure(g, values.back(), values.front());
  const double rounded = gram_rounding(s);
  const Enclosure found = s.unscale(Enclosure{square.lower - rounded, up(square.upper + rounded)});
  return {found.lower, std::min({found.upper, frobenius_bound(w), row_column_bound(w)})};
}

}  // namespace isotape
