#include <isotape/ops/polar_map.hpp>

#include <algorithm>

#include <isotape/core/tensor.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

double factor(int order, double e) {
  double r = polar_series[order];
  for (int m = order - 1; m >= 0; --m) r = r * e + polar_series[m];
  return r;
}

// r[a, b] = (r(a) - r(b)) / (a - b): Horner's rule for r(a) yields the coefficients of the quotient
// by (x - a), which is evaluated at b as they come.
double factor_difference(int order, double a, double b) {
  double r = polar_series[order];
  double quotient = 0;
  for (int m = order - 1; m >= 0; --m) {
    quotient = quotient * b + r;
    r = r * a + polar_series[m];
  }
  return quotient;
}

// The state of the recursion over the steps for one matrix: with a_i the iterate that began as
// s_i / scale, u_i = a_i^2 and h_i = a_i / s_i.
struct Recursion {
  Tensor values;       // [3, n]: u, h, and the factor r of the step at hand
  Tensor differences;  // [n, n]: u[i, j], the divided difference of u in s^2
  std::int64_t n;
  double* u;
  double* h;
  double* r;
  double* du;

  Recursion(const PolarMap& map, std::int64_t size, const double* s)
      : values({3, size}, DType::f64), differences({size, size}, DType::f64), n(size) {
    u = values.write<double>();
    h = u + n;
    r = h + n;
    du = differences.write<double>();
    const double inverse = 1 / map.scale;
    for (std::int64_t i = 0; i < n; ++i) u[i] = (s[i] * inverse) * (s[i] * inverse);
    std::fill(h, h + n, inverse);
    std::fill(du, du + n * n, inverse * inverse);
  }
};

// One step, h <- h r and u <- u r^2. With means <.> and (r u)[i, j] = r[u_i, u_j] u[i, j]:
//     (h r)[i, j]   = h[i, j] <r> + <h> r[u_i, u_j] u[i, j]
//     (u r^2)[i, j] = u[i, j] (<r^2> + <u> (r_i + r_j) r[u_i, u_j])
void advance(int order, Recursion& state, double* g) {
  const std::int64_t n = state.n;
  double* const u = state.u;
  double* const h = state.h;
  double* const r = state.r;
  double* const du = state.du;
  for (std::int64_t i = 0; i < n; ++i) r[i] = factor(order, 1 - u[i]);
  parallel_for(n, std::max<std::int64_t>(1, 16384 / n), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        const double dr = -factor_difference(order, 1 - u[i], 1 - u[j]);  // e = 1 - u
        const std::int64_t ij = i * n + j;
        g[ij] = 0.5 * (g[ij] * (r[i] + r[j]) + (h[i] + h[j]) * dr * du[ij]);
        du[ij] *= 0.5 * (r[i] * r[i] + r[j] * r[j] + (u[i] + u[j]) * (r[i] + r[j]) * dr);
      }
    }
  });
  for (std::int64_t i = 0; i < n; ++i) {
    h[i] *= r[i];
    u[i] *= r[i] * r[i];
  }
}

}  // namespace

void polar_quotients(const PolarMap& map, std::int64_t n, const double* s, double* h) {
  for (std::int64_t i = 0; i < n; ++i) {
    if (map.converged()) {
      h[i] = s[i] > 0 ? 1 / s[i] : 0;
      continue;
    }
    double a = s[i] / map.scale;
    h[i] = 1 / map.scale;
    for (int step = 0; step < map.steps; ++step) {
      const double r = factor(map.order, 1 - a * a);
      a *= r;
      h[i] *= r;
    }
  }
}

void polar_coefficients(const PolarMap& map, std::int64_t n, const double* s, double* g) {
  if (map.converged()) {
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        const double sum = s[i] + s[j];
        g[i * n + j] = sum > 0 ? 1 / sum : 0;
      }
    }
    return;
  }
  std::fill(g, g + n * n, 0.0);
  Recursion state(map, n, s);
  for (int step = 0; step < map.steps; ++step) advance(map.order, state, g);
}

}  // namespace isotape
