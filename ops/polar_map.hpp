#pragma once

#include <cstdint>

namespace isotape {

// The scalar map f that bjorck applies to the singular values, s -> f(s), and its divided
// differences. f is odd: f(s) = s h(s^2), so that the matrix map is w h(w^T w), and all that its
// derivative needs is h and h[a, b] = (h(a) - h(b)) / (a - b) at the squared singular values.

/// f as data: the sign (the polar factor) for steps = 0, else the steps-fold composition of
///     p(x) = x (1 + 1/2 e + 3/8 e^2 + 5/16 e^3 + 35/128 e^4),   e = 1 - x^2,
/// cut after e^order, applied to s / scale.
struct PolarMap {
  int steps = 0;
  int order = 1;
  double scale = 1;

  bool converged() const { return steps == 0; }
};

/// h_i = f(s_i) / s_i; for the sign map 1 / s_i, and 0 where s_i = 0.
void polar_quotients(const PolarMap& map, std::int64_t n, const double* s, double* h);

/// The coefficients of the derivative, symmetric, [n, n]: for the sign map
///     f[s_i, -s_j] = 1 / (s_i + s_j), and 0 where both vanish;
/// for a fixed number of steps h[s_i^2, s_j^2], by the chain and product rules of divided
/// differences, step by step, so that equal and tiny singular values need no care.
void polar_coefficients(const PolarMap& map, std::int64_t n, const double* s, double* g);

}  // namespace isotape
