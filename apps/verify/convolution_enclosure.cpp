#include <isotape/apps/verify/convolution_enclosure.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include <isotape/apps/verify/arithmetic.hpp>
#include <isotape/apps/verify/failure.hpp>
#include <isotape/apps/verify/matrix_enclosure.hpp>
#include <isotape/apps/verify/product.hpp>

namespace isotape::verify {
namespace {

using Numbers = std::vector<double>;

// Matrices k[t] of a convolution of stride 1, [n, m], for t = (t0, t1) in extent[0] x extent[1].
struct Taps {
  std::int64_t n, m;
  std::array<std::int64_t, 2> extent;
  std::vector<Numbers> k;
};

// Coefficients of the Hermitian symbol of a Gram kernel: those of offsets (o0, o1) that follow
// (0, 0) in the order of rows; the transposes are those of the negative offsets.
struct Symbol {
  std::int64_t n;
  std::array<std::int64_t, 2> degree;
  Numbers at_zero;
  std::vector<std::array<std::int64_t, 2>> offsets;
  std::vector<Numbers> coefficients;
  double error = 0;    // >= the norm of what roundings took off, at every frequency
  double row_sum = 0;  // >= the row sums of the entries' sizes over all offsets
};

// Note [Polyphase]
// With input pixels n = s (p + t) + f, 0 <= f < s, a convolution of stride s is one of stride 1 of
// I s^2 channels (i, f0, f1), which only renames the pixels: tap a stands at s t + f = r a. The
// shift `before` renames them, too (under circular padding; under zero padding it moves the frame).
// Of stride 1 the dilation r only substitutes z^r into the symbol: its range over all frequencies
// stays, and r may be taken as 1.
//
// Under zero padding the operator is a part of that on all of Z^2, or on a torus large enough for
// every output to find its own inputs: H' + degree cells. So its norm is at most theirs.
Taps polyphase(const Convolution& c, std::int64_t group, std::span<const float> kernel) {
  const std::int64_t s = c.stride;
  const std::int64_t r = s == 1 ? 1 : c.dilation;
  const std::int64_t rows = c.filters / c.groups;
  const std::int64_t columns = c.inputs * s * s;
  const bool wide = rows <= columns;
  Taps taps{std::min(rows, columns), std::max(rows, columns), {}, {}};
  constexpr std::int64_t most = 64;
  for (int axis : {0, 1}) {
    taps.extent.at(axis) = r * (c.taps.at(axis) - 1) / s + 1;
    if (taps.extent.at(axis) > most) {
      throw Failure("convolution: expected at most 64 taps and gaps to a side, found " +
                    std::to_string(taps.extent.at(axis)));
    }
  }
  taps.k.assign(taps.extent[0] * taps.extent[1], Numbers(rows * columns));
  const float* next = kernel.data() + group * rows * c.inputs * c.taps[0] * c.taps[1];
  for (std::int64_t o = 0; o < rows; ++o) {
    for (std::int64_t i = 0; i < c.inputs; ++i) {
      for (std::int64_t a = 0; a < c.taps[0]; ++a) {
        for (std::int64_t b = 0; b < c.taps[1]; ++b) {
          const std::int64_t column = (i * s + r * a % s) * s + r * b % s;
          Numbers& matrix = taps.k[r * a / s * taps.extent[1] + r * b / s];
          matrix[wide ? o * columns + column : column * rows + o] = static_cast<double>(*next++);
        }
      }
    }
  }
  return taps;
}

// The row sums of sum over all t, t' of |k_t| |k_t'|^T, of each row of all taps times the column
// sums of all taps: more than those of the Gram kernel at all offsets.
double absolute_row_sum(const Taps& taps) {
  Numbers columns(taps.m);
  for (const Numbers& k : taps.k) {
    for (std::int64_t e = 0; e < taps.n * taps.m; ++e) columns[e % taps.m] += std::abs(k[e]);
  }
  Numbers sums(taps.n);
  for (const Numbers& k : taps.k) {
    for (std::int64_t e = 0; e < taps.n * taps.m; ++e) {
      sums[e / taps.m] += std::abs(k[e]) * columns[e % taps.m];
    }
  }
  const auto terms = static_cast<double>(taps.k.size());
  return inflated(*std::max_element(sums.begin(), sums.end()),
                  terms * static_cast<double>(taps.n + taps.m) + 1);
}

// Coefficient o = sum over t of k_t k_{t + o}^T. Products of f32 numbers are exact and do not
// underflow; each sum has at most m times the number of taps of them.
Symbol gram_symbol(const Taps& taps) {
  const auto [height, width] = taps.extent;
  Symbol symbol{taps.n, {height - 1, width - 1}, {}, {}, {}};
  for (std::int64_t o0 = 0; o0 < height; ++o0) {
    for (std::int64_t o1 = o0 == 0 ? 0 : 1 - width; o1 < width; ++o1) {
      Numbers sum(taps.n * taps.n);
      for (std::int64_t t0 = 0; t0 + o0 < height; ++t0) {
        for (std::int64_t t1 = std::max<std::int64_t>(0, -o1);
             t1 + std::max(o1, std::int64_t{0}) < width; ++t1) {
          const Numbers part =
              outer_product(taps.n, taps.m, taps.k[t0 * width + t1],
                            taps.k[(t0 + o0) * width + t1 + o1], o0 == 0 && o1 == 0);
          for (std::size_t e = 0; e < sum.size(); ++e) sum[e] += part[e];
        }
      }
      if (o0 == 0 && o1 == 0) {
        symbol.at_zero = std::move(sum);
      } else {
        symbol.offsets.push_back({o0, o1});
        symbol.coefficients.push_back(std::move(sum));
      }
    }
  }
  const double roundings = static_cast<double>(taps.m) * static_cast<double>(taps.k.size());
  symbol.error = mul_up(gamma_up(roundings), absolute_row_sum(taps));
  return symbol;
}

// Over all offsets, negative ones by the columns of the coefficients.
double row_sum(const Symbol& symbol) {
  const std::int64_t n = symbol.n;
  Numbers sums(n);
  for (std::int64_t e = 0; e < n * n; ++e) sums[e / n] += std::abs(symbol.at_zero[e]);
  for (const Numbers& coefficient : symbol.coefficients) {
    for (std::int64_t e = 0; e < n * n; ++e) {
      sums[e / n] += std::abs(coefficient[e]);
      sums[e % n] += std::abs(coefficient[e]);
    }
  }
  const double terms = 2 * static_cast<double>(symbol.coefficients.size()) + 1;
  return inflated(*std::max_element(sums.begin(), sums.end()), terms * static_cast<double>(n));
}

// The mean of the diagonal at offset 0, which is taken from it.
double take_center(Symbol& symbol) {
  const std::int64_t n = symbol.n;
  double center = 0;
  for (std::int64_t i = 0; i < n; ++i) center += symbol.at_zero[i * (n + 1)];
  center /= static_cast<double>(n);
  double largest = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    double& entry = symbol.at_zero[i * (n + 1)];
    entry -= center;
    largest = std::max(largest, std::abs(entry));
  }
  symbol.error = add_up(symbol.error, mul_up(gamma_up(1), largest));
  symbol.row_sum = row_sum(symbol);
  return center;
}

double offset_norms(const Symbol& symbol) {
  constexpr int squarings = 2;
  double sum = symmetric_norm(symbol.n, symbol.at_zero, squarings);
  for (const Numbers& coefficient : symbol.coefficients) {
    sum = add_up(sum, 2 * norm(symbol.n, symbol.n, coefficient, squarings));
  }
  return sum;
}

// Points on the circle of one axis, and >= the factor from the largest norm at the points to that
// at all frequencies that count.
struct Points {
  std::int64_t count = 1;
  double factor = 1;
};

// Note [Sampled symbol]
// Let f be a real trigonometric polynomial of degree d with largest size 1, say f(0) = 1. Then
// f(x) >= cos(d x) for |x| <= pi / d [Riesz 1914]. Of N > 2 d equispaced points one is within
// pi / N < pi / (2 d) of the place of the maximum, so the largest size at the points is at least
// cos(pi d / N) [Ehlich & Zeller 1964]. For unit vectors v the form v* D(x0, x1) v of a Hermitian
// symbol is such a polynomial in x0, and in x1; one axis after the other gives
//
//     sup |D| <= max over the grid of |D| / (cos(pi d0 / N0) cos(pi d1 / N1)).
//
// Where the torus of the image itself has no more points, its frequencies are all that there are.
Points points(std::int64_t degree, std::int64_t exact, std::int64_t per_degree) {
  if (degree == 0) return {};
  const std::int64_t sampled = per_degree * degree;
  if (exact <= sampled) return {exact, 1};
  const double cosine = std::cos(std::numbers::pi / static_cast<double>(per_degree));
  return {sampled, div_up(1, sub_down(cosine, 0x1p-48))};
}

// Note [Symbol in floating point]
// A Hermitian matrix a + i b has the norm of the symmetric [[a, -b], [b, a]]. The cosine and sine
// of 2 pi j / N are within 2^-48 of the truth: the argument is off by three roundings of at most
// 2 pi, libm by less than 2^-52. Sum and difference of a coefficient and its transpose, the product
// and the sum over offsets are as many roundings as there are offsets and three. So a is off by
// (2^-48 + gamma) times the sum of sizes, b likewise, and both together by twice the row sum of
// that.
double grid_norm(const Symbol& symbol, const Points& p0, const Points& p1, int squarings) {
  const std::int64_t n = symbol.n;
  const std::int64_t cycle = p0.count * p1.count;
  Numbers embedded(4 * n * n);
  double largest = 0;
  for (std::int64_t g0 = 0; g0 <= p0.count / 2; ++g0) {  // -g has the conjugate symbol
    for (std::int64_t g1 = 0; g1 < p1.count; ++g1) {
      Numbers a = symbol.at_zero;
      Numbers b(n * n);
      for (std::size_t o = 0; o < symbol.offsets.size(); ++o) {
        const auto [o0, o1] = symbol.offsets[o];
        const std::int64_t turns =
            ((o0 * g0 * p1.count + o1 * g1 * p0.count) % cycle + cycle) % cycle;
        const double angle =
            2 * std::numbers::pi * static_cast<double>(turns) / static_cast<double>(cycle);
        const double cosine = std::cos(angle);
        const double sine = std::sin(angle);
        const Numbers& d = symbol.coefficients[o];
        for (std::int64_t i = 0; i < n; ++i) {
          for (std::int64_t j = 0; j < n; ++j) {
            a[i * n + j] += cosine * (d[i * n + j] + d[j * n + i]);
            b[i * n + j] += sine * (d[i * n + j] - d[j * n + i]);
          }
        }
      }
      for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
          embedded[i * 2 * n + j] = embedded[(n + i) * 2 * n + n + j] = a[i * n + j];
          embedded[(n + i) * 2 * n + j] = b[i * n + j];
          embedded[i * 2 * n + n + j] = -b[i * n + j];
        }
      }
      largest = std::max(largest, symmetric_norm(2 * n, embedded, squarings));
    }
  }
  const double relative = add_up(0x1p-48, gamma_up(static_cast<double>(symbol.offsets.size()) + 3));
  const double norm = add_up(largest, 2 * mul_up(relative, symbol.row_sum));
  return mul_up(norm, mul_up(p0.factor, p1.factor));
}

double symbol_norm(const Symbol& symbol, const Convolution& c, std::int64_t per_degree,
                   int squarings) {
  std::array<Points, 2> grid;
  for (const int axis : {0, 1}) {
    const std::int64_t degree = symbol.degree.at(axis);
    const std::int64_t reach = degree * (c.stride == 1 ? c.dilation : 1);
    grid.at(axis) = points(degree, c.image.at(axis) + (c.circular ? 0 : reach), per_degree);
  }
  return grid_norm(symbol, grid[0], grid[1], squarings);
}

// |G - c| by the cheapest of three bounds that is close enough: row sums, the sum of the
// coefficients' norms, the sampled symbol; far from orthogonal |G|, too.
Enclosure group_enclosure(const Convolution& c, std::int64_t group, std::span<const float> kernel) {
  constexpr std::int64_t few_points = 8;
  constexpr std::int64_t more_points = 16;
  const Symbol gram = gram_symbol(polyphase(c, group, kernel));
  Symbol residual = gram;
  const double center = take_center(residual);
  double distance = residual.row_sum;
  if (distance > 1e-7 * center) distance = std::min(distance, offset_norms(residual));
  if (distance > 5e-7 * center && distance < 0.5 * center) {
    distance = std::min(distance, symbol_norm(residual, c, few_points, 2));
  }
  Enclosure result = roots_around(center, add_up(distance, residual.error));
  if (distance > 1e-2 * center) {
    Symbol whole = gram;
    whole.row_sum = row_sum(gram);
    const double square = add_up(symbol_norm(whole, c, more_points, 6), gram.error);
    result.upper = std::min(result.upper, sqrt_up(square));
  }
  return result;
}

}  // namespace

Enclosure convolution_enclosure(const Convolution& c, std::span<const float> kernel) {
  Enclosure result = group_enclosure(c, 0, kernel);
  for (std::int64_t group = 1; group < c.groups; ++group) {
    const Enclosure other = group_enclosure(c, group, kernel);
    result.lower = std::min(result.lower, other.lower);
    result.upper = std::max(result.upper, other.upper);
  }
  if (!c.circular) result.lower = 0;
  return result;
}

}  // namespace isotape::verify
