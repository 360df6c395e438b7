#include <isotape/layers/sampled_symbol.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/layers/frequency_bound.hpp>
#include <isotape/layers/symbol.hpp>
#include <isotape/ops/definite_bound.hpp>
#include <isotape/ops/roundoff.hpp>

namespace isotape {
namespace {

using roundoff::down;
using roundoff::gamma;
using roundoff::infinity;
using roundoff::up;

// Note [Sampled symbol]
//
// Let D(theta) be a Hermitian trigonometric polynomial, of degree d in one variable, and M = sup
// |D(theta)|_2, attained at theta* with a unit vector v: p(theta) = v^H D(theta) v is a real
// trigonometric polynomial of degree d with |p| <= M and |p(theta*)| = M. By a lemma of Riesz
// [Riesz 1914], |p(theta)| >= M cos(d (theta - theta*)) while |theta - theta*| <= pi / (2 d). Of N
// > 2 d equispaced points one is within pi / N of theta*, so that
//     max over the points |D|_2 >= M cos(pi d / N)                     [Ehlich 1964].
// In two variables: p(., theta_2*) has degree d_1 and reaches M; at the point theta_1 found for it,
// p(theta_1, .) has degree d_2 and a supremum of at least M cos(pi d_1 / N_1); so the factors
// multiply. The Gram symbol G = K^H K (or K K^H) of a kernel of h x w taps is such a polynomial of
// degrees h - 1 and w - 1, and so is G - c for a constant c. This holds for any choice of c: here
// the middle of the limits on the grid.
//
// The limits on the grid are proved for the matrix M = fl(K(theta)), in its real form [a, -b; b, a]
// (exactly; every singular value twice): its Gram matrix is off by gamma(k) |M|_F^2, k the longer
// side, and K(theta) from M by symbol_rounding() [Weyl].

// Estimates of the least and the largest singular value over the grid.
Enclosure measured(const Tensor& kernel, const std::vector<Frequency>& grid, std::int64_t m,
                   std::int64_t n) {
  const std::int64_t rank = std::min(kernel.dim(0), kernel.dim(3));
  std::vector<Enclosure> each(grid.size());
  parallel_jobs(static_cast<std::int64_t>(grid.size()), [&](std::int64_t job) {
    Tensor matrix = symbol_at(kernel, grid[job], m, n);
    std::vector<double> values(static_cast<std::size_t>(rank));
    blas::singular_values_complex(kernel.dim(0), kernel.dim(3), matrix.write<double>(),
                                  values.data());
    each[job] = {values.back(), values.front()};
  });
  Enclosure all{infinity, 0};
  for (const Enclosure& e : each) {
    all.lower = std::min(all.lower, e.lower);
    all.upper = std::max(all.upper, e.upper);
  }
  return all;
}

// A proved r with sign (g - level I) + r I positive semidefinite; |g_ii| and level <= 2 largest.
double missing(const Tensor& g, double sign, double level, double largest) {
  const std::int64_t k = g.dim(0);
  Tensor shifted({k, k}, DType::f64);
  const auto* from = g.data<double>();
  auto* to = shifted.write<double>();
  for (std::int64_t i = 0; i < k * k; ++i) to[i] = sign * from[i];
  for (std::int64_t i = 0; i < k; ++i) to[i * (k + 1)] -= sign * level;
  // The diagonal rounds by u relative to what comes out, below 4 largest.
  return up(indefiniteness_bound(shifted) + 0x1p-50 * largest);
}

// By how much the squares may lie outside [least, largest] at one frequency; least < 0: not asked.
Enclosure outside(const Tensor& matrix, double least, double largest) {
  const Tensor real = real_form(matrix.reshaped({1, matrix.dim(0), matrix.dim(1), 2}), 0);
  const std::int64_t m = real.dim(0);
  const std::int64_t n = real.dim(1);
  const std::int64_t k = std::min(m, n);
  Tensor g({k, k}, DType::f64);
  blas::syrk(n <= m, k, std::max(m, n), 1.0, real.data<double>(), n, 0.0, g.write<double>(), k);
  const double norm = frobenius_bound(real);
  const double rounded = up(gamma(std::max(m, n)) * up(norm * norm));
  Enclosure beyond{0, up(missing(g, -1, largest, largest) + rounded)};
  if (least > 0) beyond.lower = up(missing(g, 1, least, largest) + rounded);
  return beyond;
}

}  // namespace

Enclosure grid_enclosure(const Tensor& kernel, std::int64_t m, std::int64_t n) {
  constexpr double margin = 0x1p-30;  // of the largest square: Cholesky's method needs k^2 u
  const std::vector<Frequency> grid = half_spectrum(m, n);
  const Enclosure found = measured(kernel, grid, m, n);
  if (found.upper == 0) return {0, symbol_rounding(kernel)};
  const double largest = found.upper * found.upper * (1 + margin);
  const double least = found.lower * found.lower - margin * largest;
  std::vector<Enclosure> beyond(grid.size());
  parallel_jobs(static_cast<std::int64_t>(grid.size()), [&](std::int64_t job) {
    beyond[job] = outside(symbol_at(kernel, grid[job], m, n), least, largest);
  });
  Enclosure most{0, 0};
  for (const Enclosure& e : beyond) {
    if (!(e.lower <= most.lower)) most.lower = e.lower;
    if (!(e.upper <= most.upper)) most.upper = e.upper;
  }
  const double rounded = symbol_rounding(kernel);
  const double upper = up(up(std::sqrt(up(largest + most.upper))) + rounded);
  const double square = down(least - most.lower);
  if (!(least > 0 && square > 0)) return {0, upper};
  return {std::max(0.0, down(down(std::sqrt(square)) - rounded)), upper};
}

Enclosure sampled_enclosure(const Tensor& kernel, std::int64_t m, std::int64_t n) {
  const std::int64_t rows = kernel.dim(1) - 1;
  const std::int64_t columns = kernel.dim(2) - 1;
  require<ValueError>(m > 2 * rows && n > 2 * columns, "sampled_enclosure: expected more than ",
                      2 * rows, " x ", 2 * columns, " points, got ", m, " x ", n);
  // A cosine of an argument off by a few u, itself off by a few u: 2^-48 is below either of them.
  const auto cosine = [](std::int64_t d, std::int64_t points) {
    if (d == 0) return 1.0;
    return std::cos(std::numbers::pi * static_cast<double>(d) / static_cast<double>(points)) -
           0x1p-48;
  };
  const double factor = up(1 / down(cosine(rows, m) * cosine(columns, n)));
  const Enclosure grid = grid_enclosure(kernel, m, n);
  const double least = down(grid.lower * grid.lower);
  const double largest = up(grid.upper * grid.upper);
  const double c = (least + largest) / 2;
  const double most = up(factor * up(std::max(largest - c, c - least)));
  const double square = down(c - most);
  return {square > 0 ? down(std::sqrt(square)) : 0, up(std::sqrt(up(c + most)))};
}

Samples affordable_samples(const Tensor& kernel, double flops) {
  constexpr double most_points = 2400;  // half of them are computed
  const auto c = static_cast<double>(std::min(kernel.dim(0), kernel.dim(3)));
  const auto other = static_cast<double>(std::max(kernel.dim(0), kernel.dim(3)));
  const double each = 24 * c * c * other + 56 * c * c * c;
  for (const std::int64_t times : {32, 24, 16, 12, 8, 6, 4}) {
    const std::int64_t m = std::max<std::int64_t>(1, times * (kernel.dim(1) - 1));
    const std::int64_t n = std::max<std::int64_t>(1, times * (kernel.dim(2) - 1));
    const double points = static_cast<double>(m) * static_cast<double>(n);
    if (points <= most_points && points / 2 * each <= flops) return {m, n};
  }
  return {};
}

}  // namespace isotape
