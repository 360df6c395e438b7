#pragma once

#include <cstdint>

namespace isotape::blas {

// Complex matrices, row-major, interleaved real and imaginary parts: an entry is two of T, and row
// strides count entries. For float and double; see blas.hpp for the rest of the rules.

/// op(a): a as it is, a^T, or the adjoint a^H.
enum class Op : char { none = 'N', transpose = 'T', adjoint = 'C' };

/// c = alpha op(a) op(b) + beta c, op(a) [m, k], op(b) [k, n], c [m, n], alpha and beta real. With
/// beta = 0, c need not be initialised.
template <class T>
void gemm_complex(Op op_a, Op op_b, std::int64_t m, std::int64_t n, std::int64_t k, T alpha,
                  const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c,
                  std::int64_t ldc);

/// inverse [n, n] = a^-1 by an LU factorisation with pivoting, which takes the place of a.
/// @throws NumericError  if a is singular
template <class T>
void inverse_complex(std::int64_t n, T* a, T* inverse);

}  // namespace isotape::blas
