#pragma once

#include <cstdint>
#include <string>

namespace isotape::blas {

// The seam to OpenBLAS: BLAS and LAPACK on row-major arrays, for float and double. Sizes are
// narrowed to the library's int with a check; a failing LAPACK routine throws NumericError. Calls
// inside a parallel region run on one thread.

void set_num_threads(int n);
/// "OpenBLAS 0.3.21 ... SkylakeX" as the library describes itself.
std::string description();
/// Its name for the kernels that it runs: "Haswell", "SkylakeX", "Prescott".
std::string kernels();
/// Whether the loaded OpenBLAS was built on OpenMP (else: sequential or a pthread pool of its own).
bool uses_openmp();

/// c = alpha op(a) op(b) + beta c, op(a) [m, k], op(b) [k, n], c [m, n]; lda, ldb, ldc are the row
/// strides of the arrays as stored. With beta = 0, c need not be initialised.
template <class T>
void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, T alpha,
          const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c,
          std::int64_t ldc);

/// c = alpha op(a) op(a)^T + beta c with op(a) [n, k], c symmetric [n, n], both triangles written.
/// trans: op(a) = a^T, a stored as [k, n].
template <class T>
void syrk(bool trans, std::int64_t n, std::int64_t k, T alpha, const T* a, std::int64_t lda, T beta,
          T* c, std::int64_t ldc);

/// y = alpha op(a) x + beta y, a [m, n].
template <class T>
void gemv(bool trans, std::int64_t m, std::int64_t n, T alpha, const T* a, std::int64_t lda,
          const T* x, T beta, T* y);

/// Eigendecomposition of a symmetric matrix [n, n]: on return row i of a is the eigenvector of
/// values[i], values ascending: A = a^T diag(values) a.
/// @throws NumericError  if an entry is not finite
template <class T>
void symmetric_eigen(std::int64_t n, T* a, T* values);

/// Singular values of a [m, n] (overwritten), min(m, n) of them, descending.
template <class T>
void singular_values(std::int64_t m, std::int64_t n, T* a, T* values);

/// Thin SVD a = u diag(s) vt of [m, n] (a is overwritten): u [m, r], vt [r, n], r = min(m, n).
template <class T>
void svd(std::int64_t m, std::int64_t n, T* a, T* s, T* u, T* vt);

/// Singular values of a complex matrix [m, n], interleaved real and imaginary parts (overwritten).
void singular_values_complex(std::int64_t m, std::int64_t n, double* a, double* values);

/// LU factorisation with pivoting of [n, n], in place; pivots has n entries.
/// @throws NumericError  if the matrix is singular
template <class T>
void lu_factor(std::int64_t n, T* a, int* pivots);
/// Solves op(A) X = B in place for B [n, columns], with the factors of lu_factor.
template <class T>
void lu_solve(bool trans, std::int64_t n, std::int64_t columns, const T* lu, const int* pivots,
              T* b);

/// The inverse [n, n] of A, from the factors of lu_factor.
template <class T>
void lu_inverse(std::int64_t n, const T* lu, const int* pivots, T* inverse);

/// Cholesky factorisation A = L L^T of a symmetric positive definite [n, n], in place in the lower
/// triangle (the upper is zeroed). Returns whether A was numerically positive definite.
template <class T>
bool cholesky(std::int64_t n, T* a);

/// The inverse of a lower triangular [n, n], in place; what is above the diagonal stays.
/// @throws NumericError  if an entry of the diagonal is zero
template <class T>
void triangular_inverse(std::int64_t n, T* a);

/// b = op(a) b with a [m, m] lower triangular, or, from the right, b = b op(a) with a [n, n]; in
/// place for b [m, n], at half the flops of gemm. What is above a's diagonal is not read.
template <class T>
void triangular_product(bool right, bool trans, std::int64_t m, std::int64_t n, const T* a, T* b);

/// Orthonormal factor of the QR factorisation of [m, n], m >= n, in place; signs[j] = sign of R_jj.
template <class T>
void qr_orthonormal(std::int64_t m, std::int64_t n, T* a, T* signs);

}  // namespace isotape::blas
