#pragma once

#include <cstdint>
#include <limits>

// Note [Rounding in bounds]
//
// u = 2^-53. Every operation in f64 yields fl(a op b) = (a op b)(1 + d) + e, |d| <= u, and |e| <=
// tiny = 2^-1022 where it underflows (gradually or to zero). Sums and inner products of k terms are
// off by at most gamma(k) times the sum of the absolute terms, gamma(k) = k u / (1 - k u), for any
// order of summation, with or without fused multiply-add [Higham 2002, section 3.1].
//
// Files that use these are compiled with -ffp-contract=off, so that scalars are rounded as written.

namespace isotape::roundoff {

inline constexpr double unit_roundoff = 0x1p-53;
inline constexpr double infinity = std::numeric_limits<double>::infinity();

/// An upper bound of y >= 0, given x = fl(y) after one rounding: x (1 + 4 u), itself rounded, is at
/// least x (1 + 4 u)(1 - u) > x (1 + 2 u) >= x / (1 - u) >= y.
inline double up(double x) { return x * (1 + 0x1p-51); }

/// Likewise a lower bound: x (1 - 4 u), itself rounded, is at most x (1 - 4 u)(1 + u) < x (1 - 2 u)
/// <= x / (1 + u) <= y.
inline double down(double x) { return x * (1 - 0x1p-51); }

/// >= gamma(k); infinite from k u = 1/2 on. k u is exact; 1 - k u, the quotient: one rounding each.
inline double gamma(std::int64_t k) {
  const double ku = static_cast<double>(k) * unit_roundoff;
  return ku < 0.5 ? up(up(ku / (1 - ku))) : infinity;
}

/// >= y with fl(y) = x for a sum y of k nonnegative terms: x >= y (1 - gamma(k)).
inline double sum_up(double x, std::int64_t k) { return up(up(x / (1 - gamma(k)))); }

}  // namespace isotape::roundoff
