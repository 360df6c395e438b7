#pragma once

#include <cstdint>

namespace isotape {

// The innermost loops of fourier() and inverse_fourier(), over n channels or pixels of them.

/// sum = a + b, difference = a - b.
void sum_and_difference(std::int64_t n, const float* a, const float* b, float* sum,
                        float* difference);
void sum_and_difference(std::int64_t n, const double* a, const double* b, double* sum,
                        double* difference);

/// a = (pr - qs) - i (ps + qr), b = (pr + qs) - i (ps - qr), interleaved real and imaginary parts.
void join_frequencies(std::int64_t n, const float* pr, const float* ps, const float* qr,
                      const float* qs, float* a, float* b);
void join_frequencies(std::int64_t n, const double* pr, const double* ps, const double* qr,
                      const double* qs, double* a, double* b);

/// The transpose of join_frequencies.
void split_frequencies(std::int64_t n, const float* a, const float* b, float* pr, float* ps,
                       float* qr, float* qs);
void split_frequencies(std::int64_t n, const double* a, const double* b, double* pr, double* ps,
                       double* qr, double* qs);

}  // namespace isotape
