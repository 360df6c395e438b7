#pragma once

#include <cstdint>

#include <isotape/core/dtype.hpp>

namespace isotape {

/// Floating-point operations done behind the seams to BLAS, LAPACK and oneDNN since the program
/// began; a multiplication and an addition are two. That is the work of the algorithms which ran,
/// whatever they are: products and factorisations of matrices, and convolutions. Elementwise
/// passes, whose limit is the memory, count nothing. Per call, for orders m >= n:
///
///     gemm            2 m n k              convolution, each pass   2 N H' W' O kh kw C / groups
///     syrk            n (n + 1) k          LU                       2/3 n^3
///     gemv            2 m n                solve with LU, inverse   2 n^2 columns, 2 n^3
///     Cholesky        1/3 n^3              thin QR, with its Q      4 m n^2 - 4/3 n^3
///     eigenvectors    14/3 n^3: 4/3 to tridiagonal form, 4/3 divide and conquer, 2 back
///     thin SVD        8 m n^2 + 4/3 n^3    singular values alone    4 m n^2 - 4/3 n^3
///     triangle's inverse 1/3 n^3           product with a triangle  m n times its order
///
/// (a complex operation counts as four).
struct FlopCount {
  double f32 = 0;          ///< BLAS and LAPACK in single precision
  double f64 = 0;          ///< the same in double precision
  double convolution = 0;  ///< of oneDNN, f32
  double bf16 = 0;         ///< of oneDNN, convolutions and products of bf16

  double total() const { return f32 + f64 + convolution + bf16; }
};
FlopCount operator-(const FlopCount& a, const FlopCount& b);
FlopCount operator+(const FlopCount& a, const FlopCount& b);

FlopCount flop_count();

/// For the seams: adds to the count. Safe from any thread.
void count_flops(DType dtype, double flops);
void count_convolution_flops(double flops);

}  // namespace isotape
