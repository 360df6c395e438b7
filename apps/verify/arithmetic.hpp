#pragma once

#include <cstdint>

namespace isotape::verify {

// Note [Directed rounding]
// The processor rounds each operation to the nearest number; the true result lies between the
// neighbours of what it returns. So one step outwards is a bound, whatever was rounded, also among
// denormals and beyond the largest number. A chain of calls of these functions is a proof; plain
// operators are used where an error bound of their own stands beside them.

double add_up(double a, double b);    ///< >= a + b
double sub_up(double a, double b);    ///< >= a - b
double mul_up(double a, double b);    ///< >= a b
double div_up(double a, double b);    ///< >= a / b
double sqrt_up(double a);             ///< >= root of a, for a >= 0
double add_down(double a, double b);  ///< <= a + b
double sub_down(double a, double b);  ///< <= a - b
double mul_down(double a, double b);  ///< <= a b
double div_down(double a, double b);  ///< <= a / b
double sqrt_down(double a);           ///< <= root of a, 0 for a < 0

/// A floating-point format: unit roundoff, smallest normal number, and the size beyond which the
/// rules of rounding claim nothing.
struct Format {
  double unit;
  double smallest;
  double largest;
};
constexpr Format f64_format{0x1p-53, 0x1p-1022, 0x1p500};
constexpr Format f32_format{0x1p-24, 0x1p-126, 0x1p60};

/// >= k u / (1 - k u), which bounds the relative error of k roundings; infinite from k u = 1/2 on.
double gamma_up(double k, const Format& format = f64_format);

/// >= a sum of numbers >= 0 that was computed with this many roundings to each of them. (A computed
/// term is at least 1 - gamma' of the true one, gamma' = 1 - (1 - u)^k <= k u, and 1 / (1 - k u) is
/// 1 + gamma(k).)
double inflated(double sum, double roundings);

/// @throws Failure  unless this thread rounds to nearest and keeps denormal numbers
void check_environment();

}  // namespace isotape::verify
