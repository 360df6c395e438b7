#include <isotape/apps/verify/matrix_enclosure.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/apps/verify/arithmetic.hpp>
#include <isotape/apps/verify/product.hpp>

namespace isotape::verify {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double least = std::numeric_limits<double>::denorm_min();

double largest_entry(const std::vector<double>& x) {
  double largest = 0;
  for (const double entry : x) {
    if (!std::isfinite(entry)) return infinity;
    largest = std::max(largest, std::abs(entry));
  }
  return largest;
}

// >= the sum of squares. Each square and each sum is rounded: as many roundings as there are terms
// and one. A square may lose half the least number to underflow, which sums do not.
double square_sum(const std::vector<double>& x) {
  double sum = 0;
  for (const double entry : x) sum += entry * entry;
  const auto count = static_cast<double>(x.size());
  return add_up(inflated(sum, count + 1), count * least);
}

// >= the largest row sum of |x| |x|^T, [n, m]: of each row times the column sums.
double product_row_sum(std::int64_t n, std::int64_t m, const std::vector<double>& x) {
  std::vector<double> columns(static_cast<std::size_t>(m));
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t k = 0; k < m; ++k) columns[k] += std::abs(x[i * m + k]);
  }
  double largest = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    double sum = 0;
    for (std::int64_t k = 0; k < m; ++k) sum += std::abs(x[i * m + k]) * columns[k];
    largest = std::max(largest, sum);
  }
  return inflated(largest, static_cast<double>(n + m + 1));
}

}  // namespace

// Note [Norm by powers]
// |d|^2 = |d^2| for symmetric d. Scaled by a power of two, so that the largest entry is in [1/2, 1)
// (exact, but for entries that fall under the least number by it: off by at most that, n times it
// in norm), the computed square p has |p - d^2| <= gamma(n) |d| |d| entry by entry, whose norm is
// at most the square of the Frobenius norm F of |d|, which is that of d; and n products may each
// lose the least number to underflow, n^2 times it in norm. Hence
//
//     |d| <= min(F, sqrt(|p| + gamma(n) F^2 + n^2 least)),
//
// with the same again for |p|. d is symmetric to the bit, and so is p.
double symmetric_norm(std::int64_t n, std::vector<double> d, int squarings) {
  const double largest = largest_entry(d);
  if (largest == 0 || largest == infinity) return largest;
  int exponent = 0;
  std::frexp(largest, &exponent);
  for (double& entry : d) entry = std::ldexp(entry, -exponent);
  const auto side = static_cast<double>(n);
  const double square = square_sum(d);
  double bound = sqrt_up(square);
  if (squarings > 0) {
    std::vector<double> power = outer_product(n, n, d, d, true);
    d = {};
    const double lost = add_up(mul_up(gamma_up(side), square), side * side * least);
    bound =
        std::min(bound, sqrt_up(add_up(symmetric_norm(n, std::move(power), squarings - 1), lost)));
  }
  // Scaling back is exact but among denormal numbers, where it is off by less than a step.
  return add_up(std::ldexp(add_up(bound, side * least), exponent), least);
}

double norm(std::int64_t n, std::int64_t m, const std::vector<double>& x, int squarings) {
  const double square = symmetric_norm(n, outer_product(n, m, x, x, true), squarings);
  const auto inner = static_cast<double>(m);
  const double lost = mul_up(gamma_up(inner), square_sum(x));
  return sqrt_up(add_up(add_up(square, lost), static_cast<double>(n) * inner * least));
}

Enclosure roots_around(double center, double distance) {
  return {sqrt_down(sub_down(center, distance)), sqrt_up(add_up(center, distance))};
}

// Note [Gram residual]
// With x = w or its transpose, n <= m, the squares of the singular values are the eigenvalues of
// G = x x^T, and those lie within |G - c| of any number c. Products of two f32 numbers are exact in
// f64 and never underflow; the computed sum is off by at most gamma(m) |x| |x|^T, whose norm is at
// most its largest row sum. The subtraction of c from the diagonal is off by at most u times what
// comes out. c is the mean of the diagonal: for near-orthogonal rows G - c is small, and so is
// every error in its norm. Otherwise |G| itself may be the better upper bound.
Enclosure matrix_enclosure(std::span<const float> w, std::int64_t rows, std::int64_t columns) {
  const bool wide = rows <= columns;
  const std::int64_t n = std::min(rows, columns);
  const std::int64_t m = std::max(rows, columns);
  std::vector<double> x(w.size());
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      x[wide ? i * m + j : j * m + i] = static_cast<double>(w[i * columns + j]);
    }
  }
  const std::vector<double> product = outer_product(n, m, x, x, true);
  double center = 0;
  for (std::int64_t i = 0; i < n; ++i) center += product[i * (n + 1)] / static_cast<double>(n);
  std::vector<double> residual = product;
  double diagonal = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    residual[i * (n + 1)] -= center;
    diagonal = std::max(diagonal, std::abs(residual[i * (n + 1)]));
  }
  const double product_error = mul_up(gamma_up(static_cast<double>(m)), product_row_sum(n, m, x));
  const double error = add_up(product_error, mul_up(gamma_up(1), diagonal));
  constexpr int few = 3;
  constexpr int many = 8;
  double distance = add_up(symmetric_norm(n, residual, few), error);
  if (distance < 1e-3 * center) return roots_around(center, distance);
  distance = std::min(distance, add_up(symmetric_norm(n, std::move(residual), many), error));
  Enclosure result = roots_around(center, distance);
  const double whole = add_up(symmetric_norm(n, product, many), product_error);
  result.upper = std::min(result.upper, sqrt_up(whole));
  return result;
}

}  // namespace isotape::verify
