#include <isotape/optim/update_kernel.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include <isotape/core/isa.hpp>

// The templates are inlined into the functions at the end, which are compiled for several
// instruction sets.

namespace isotape {
namespace {

#define ISOTAPE_INLINE [[gnu::always_inline]] inline

constexpr std::int64_t block = 512;  // entries whose sum of velocities stays in the first cache

template <class T>
ISOTAPE_INLINE void adam(const AdamCoefficients<T>& c, std::int64_t n, const T* g, T* w, T* m,
                         T* v) {
  const AdamCoefficients<T> k = c;  // the compiler need not ask whether w overlaps it
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const T gradient = g[i] + k.coupled * w[i];
    m[i] = k.beta1 * m[i] + k.rest1 * gradient;
    v[i] = k.beta2 * v[i] + k.rest2 * gradient * gradient;
    w[i] = k.keep * w[i] - k.rate * m[i] / (k.root * std::sqrt(v[i]) + k.eps);
  }
}

template <class T>
ISOTAPE_INLINE void sgd(const SgdCoefficients<T>& c, std::int64_t n, const T* g, T* w, T* v) {
  const SgdCoefficients<T> k = c;
  if (v == nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) w[i] -= k.lr * (g[i] + k.decay * w[i]);
    return;
  }
  // The step is lr (a g + b v).
  const T a = k.nesterov ? T(1) : T(0);
  const T b = k.nesterov ? k.momentum : T(1);
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const T gradient = g[i] + k.decay * w[i];
    v[i] = k.momentum * v[i] + gradient;
    w[i] -= k.lr * (a * gradient + b * v[i]);
  }
}

template <class T>
ISOTAPE_INLINE void rmsprop(const RmspropCoefficients<T>& c, std::int64_t n, const T* g, T* w, T* s,
                            T* v) {
  const RmspropCoefficients<T> k = c;
  if (v == nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const T gradient = g[i] + k.decay * w[i];
      s[i] = k.alpha * s[i] + k.rest * gradient * gradient;
      w[i] -= k.lr * (gradient / (std::sqrt(s[i]) + k.eps));
    }
    return;
  }
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const T gradient = g[i] + k.decay * w[i];
    s[i] = k.alpha * s[i] + k.rest * gradient * gradient;
    v[i] = k.momentum * v[i] + gradient / (std::sqrt(s[i]) + k.eps);
    w[i] -= k.lr * v[i];
  }
}

template <class T>
ISOTAPE_INLINE void aggmo(const AggmoCoefficients<T>& c, std::int64_t n, const T* g, T* w,
                          T* const* velocities) {
  const AggmoCoefficients<T> k = c;
  std::array<T, block> sum;
  for (std::int64_t first = 0; first < n; first += block) {
    const std::int64_t length = std::min(block, n - first);
    sum.fill(T(0));
    for (std::int64_t j = 0; j < k.count; ++j) {
      T* const v = velocities[j] + first;
      const T beta = k.betas[j];
#pragma omp simd
      for (std::int64_t i = 0; i < length; ++i) {
        v[i] = beta * v[i] + (g[first + i] + k.decay * w[first + i]);
        sum[i] += v[i];
      }
    }
#pragma omp simd
    for (std::int64_t i = 0; i < length; ++i) w[first + i] -= k.rate * sum[i];
  }
}

}  // namespace

ISOTAPE_CLONES void adam_update(const AdamCoefficients<float>& c, std::int64_t n, const float* g,
                                float* w, float* m, float* v) {
  adam<float>(c, n, g, w, m, v);
}
ISOTAPE_CLONES void adam_update(const AdamCoefficients<double>& c, std::int64_t n, const double* g,
                                double* w, double* m, double* v) {
  adam<double>(c, n, g, w, m, v);
}

ISOTAPE_CLONES void sgd_update(const SgdCoefficients<float>& c, std::int64_t n, const float* g,
                               float* w, float* v) {
  sgd<float>(c, n, g, w, v);
}
ISOTAPE_CLONES void sgd_update(const SgdCoefficients<double>& c, std::int64_t n, const double* g,
                               double* w, double* v) {
  sgd<double>(c, n, g, w, v);
}

ISOTAPE_CLONES void rmsprop_update(const RmspropCoefficients<float>& c, std::int64_t n,
                                   const float* g, float* w, float* s, float* v) {
  rmsprop<float>(c, n, g, w, s, v);
}
ISOTAPE_CLONES void rmsprop_update(const RmspropCoefficients<double>& c, std::int64_t n,
                                   const double* g, double* w, double* s, double* v) {
  rmsprop<double>(c, n, g, w, s, v);
}

ISOTAPE_CLONES void aggmo_update(const AggmoCoefficients<float>& c, std::int64_t n, const float* g,
                                 float* w, float* const* velocities) {
  aggmo<float>(c, n, g, w, velocities);
}
ISOTAPE_CLONES void aggmo_update(const AggmoCoefficients<double>& c, std::int64_t n,
                                 const double* g, double* w, double* const* velocities) {
  aggmo<double>(c, n, g, w, velocities);
}

}  // namespace isotape
