#include <isotape/ops/definite_bound.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/ops/roundoff.hpp>

namespace isotape {
namespace {

using roundoff::gamma;
using roundoff::infinity;
using roundoff::sum_up;
using roundoff::unit_roundoff;
using roundoff::up;

// What all operations of these sizes can lose to underflow, together.
constexpr double underflow = 0x1p-900;

// >= ||x||_F^2.
double frobenius_squared(const Tensor& x) {
  double total = 0;
  for (const double entry : x.values<double>()) total += entry * entry;
  return sum_up(total, x.size() + 1);
}

// A proved r with sign A >= level - r: sign A - level I, whose diagonal rounds by u relative to
// what comes out, as a matrix of its own.
double shifted(const Tensor& a, double sign, double level) {
  const std::int64_t n = a.dim(0);
  Tensor b({n, n}, DType::f64);
  const auto* from = a.data<double>();
  auto* to = b.write<double>();
  double largest = 0;
  for (std::int64_t i = 0; i < n * n; ++i) to[i] = sign * from[i];
  for (std::int64_t i = 0; i < n; ++i) {
    double& entry = to[i * (n + 1)];
    entry -= level;
    largest = std::max(largest, std::abs(entry));
  }
  return up(indefiniteness_bound(b) + up(2 * unit_roundoff * largest));
}

// The largest proved level below all eigenvalues of sign A, tried from the estimate downwards.
double below(const Tensor& a, double sign, double estimate) {
  const auto n = static_cast<double>(a.dim(0));
  double trace = 0;
  for (std::int64_t i = 0; i < a.dim(0); ++i) trace += std::abs(a.at(i * (a.dim(0) + 1)));
  // The residual of Cholesky's method is about n u trace(A); a definite matrix needs a little more.
  double margin = 4 * n * unit_roundoff * (trace + n * std::abs(estimate)) + 0x1p-800;
  for (int attempt = 0; attempt < 6; ++attempt, margin *= 64) {
    const double level = estimate - margin;
    const double r = shifted(a, sign, level);
    // Two roundings of the difference, of numbers of this size.
    if (std::isfinite(r)) return level - r - 4 * unit_roundoff * (std::abs(level) + r);
  }
  return -infinity;
}

}  // namespace

// fl(A - L L^T), of n + 1 terms in any order, is off by gamma(n + 2) (|L| |L|^T + |A|) at most,
// whose norm is at most ||L||_F^2 + ||A||_F.
double indefiniteness_bound(const Tensor& a) {
  require<ShapeError>(a.rank() == 2 && a.dim(0) == a.dim(1),
                      "indefiniteness_bound: expected a square matrix, got ", a.shape());
  const std::int64_t n = a.dim(0);
  Tensor factor = a.clone();
  if (!all_finite(a) || !blas::cholesky(n, factor.write<double>())) return infinity;
  Tensor residual = a.clone();
  blas::syrk(false, n, n, -1.0, factor.data<double>(), n, 1.0, residual.write<double>(), n);
  const double rounded =
      up(gamma(n + 2) * up(frobenius_squared(factor) + up(std::sqrt(frobenius_squared(a)))));
  const double r = up(up(std::sqrt(frobenius_squared(residual))) + rounded) + underflow;
  return std::isfinite(r) ? r : infinity;
}

Enclosure eigenvalue_enclosure(const Tensor& a, double least, double largest) {
  require<ShapeError>(a.rank() == 2 && a.dim(0) == a.dim(1),
                      "eigenvalue_enclosure: expected a square matrix, got ", a.shape());
  return {below(a, 1, least), -below(a, -1, -largest)};
}

}  // namespace isotape
