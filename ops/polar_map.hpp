#pragma once

#include <cstdint>

namespace isotape {

// The scalar map f that bjorck applies to the singular values, s -> f(s), and its divided
// differences. f is odd: f(s) = s h(s^2), so that the matrix map is w h(w^T w), and all that its
// derivative needs is h and h[a, b] = (h(a) - h(b)) / (a - b) at the squared singular values.

/// (1 - e)^(-1/2) = sum c_m e^m: one step multiplies w by this series at e = I - w^T w, cut after
/// the power `order`.
inline constexpr double polar_series[5] = {1.0, 1.0 / 2, 3.0 / 8, 5.0 / 16, 35.0 / 128};

/// f as data: the sign (the polar factor) for steps = 0, else the steps-fold composition of
///     p(x) = x sum_{m <= order} c_m (1 - x^2)^m,
/// applied to s / scale.
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
