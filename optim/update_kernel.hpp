#pragma once

#include <cstdint>

namespace isotape {

// The innermost loops of the update rules, over n entries of value w, gradient g and state.

template <class T>
struct AdamCoefficients {
  T coupled;  ///< decay through the gradient
  T keep;     ///< 1 - decay of the value itself
  T beta1, rest1, beta2, rest2;
  T rate;  ///< lr / (1 - beta1^t)
  T root;  ///< 1 / sqrt(1 - beta2^t)
  T eps;
};
void adam_update(const AdamCoefficients<float>& c, std::int64_t n, const float* g, float* w,
                 float* m, float* v);
void adam_update(const AdamCoefficients<double>& c, std::int64_t n, const double* g, double* w,
                 double* m, double* v);

template <class T>
struct SgdCoefficients {
  T lr, decay, momentum;
  bool nesterov;
};
/// @param v  null without momentum
void sgd_update(const SgdCoefficients<float>& c, std::int64_t n, const float* g, float* w,
                float* v);
void sgd_update(const SgdCoefficients<double>& c, std::int64_t n, const double* g, double* w,
                double* v);

template <class T>
struct RmspropCoefficients {
  T lr, decay, alpha, rest, eps, momentum;
};
/// @param v  null without momentum
void rmsprop_update(const RmspropCoefficients<float>& c, std::int64_t n, const float* g, float* w,
                    float* s, float* v);
void rmsprop_update(const RmspropCoefficients<double>& c, std::int64_t n, const double* g,
                    double* w, double* s, double* v);

/// The step is rate times the sum of `count` velocities.
template <class T>
struct AggmoCoefficients {
  T rate, decay;
  const T* betas;
  std::int64_t count;
};
void aggmo_update(const AggmoCoefficients<float>& c, std::int64_t n, const float* g, float* w,
                  float* const* velocities);
void aggmo_update(const AggmoCoefficients<double>& c, std::int64_t n, const double* g, double* w,
                  double* const* velocities);

}  // namespace isotape
