#include <isotape/core/blas_complex.hpp>

#include <algorithm>
#include <limits>
#include <type_traits>

#include <isotape/core/dtype.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/flop_count.hpp>
#include <isotape/core/memory.hpp>

// The routines of OpenBLAS by their Fortran names: cblas.h belongs to blas.cpp, and its complex
// products take untyped pointers. Arrays are column-major there: a row-major [m, n] is handed over
// as its transpose.
// NOLINTBEGIN(readability-identifier-naming): names of Fortran
extern "C" {
void cgemm_(const char*, const char*, const int*, const int*, const int*, const float*,
            const float*, const int*, const float*, const int*, const float*, float*, const int*);
void zgemm_(const char*, const char*, const int*, const int*, const int*, const double*,
            const double*, const int*, const double*, const int*, const double*, double*,
            const int*);
void cgetrf_(const int*, const int*, float*, const int*, int*, int*);
void zgetrf_(const int*, const int*, double*, const int*, int*, int*);
void cgetrs_(const char*, const int*, const int*, const float*, const int*, const int*, float*,
             const int*, int*);
void zgetrs_(const char*, const int*, const int*, const double*, const int*, const int*, double*,
             const int*, int*);
}
// NOLINTEND(readability-identifier-naming)

namespace isotape::blas {
namespace {

int narrow(std::int64_t extent) {
  require<ShapeError>(0 <= extent && extent <= std::numeric_limits<int>::max(),
                      "blas: expected extents below 2^31, got ", extent);
  return static_cast<int>(extent);
}

int stride(std::int64_t extent) { return narrow(std::max<std::int64_t>(extent, 1)); }

}  // namespace

template <class T>
void gemm_complex(Op op_a, Op op_b, std::int64_t m, std::int64_t n, std::int64_t k, T alpha,
                  const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c,
                  std::int64_t ldc) {
  // Column-major, c^T = op(b)^T op(a)^T; b is there as b^T, on which the same operation acts.
  const char first = static_cast<char>(op_b);
  const char second = static_cast<char>(op_a);
  const int rows = narrow(n);
  const int columns = narrow(m);
  const int inner = narrow(k);
  const int stride_a = stride(lda);
  const int stride_b = stride(ldb);
  const int stride_c = stride(ldc);
  const T factor[2] = {alpha, 0};
  if (rows == 0 || columns == 0) return;
  count_flops(dtype_of<T>(), 8 * static_cast<double>(m * n) * static_cast<double>(k));
  if (beta == 0) {
    // Zeroed here, and added to: faster than what OpenBLAS does for beta = 0.
    for (std::int64_t i = 0; i < m; ++i) std::fill_n(c + 2 * i * ldc, 2 * n, T{0});
    beta = 1;
  }
  const T keep[2] = {beta, 0};
  if constexpr (std::is_same_v<T, float>) {
    cgemm_(&first, &second, &rows, &columns, &inner, factor, b, &stride_b, a, &stride_a, keep, c,
           &stride_c);
  } else {
    zgemm_(&first, &second, &rows, &columns, &inner, factor, b, &stride_b, a, &stride_a, keep, c,
           &stride_c);
  }
}

template <class T>
void inverse_complex(std::int64_t n, T* a, T* inverse) {
  // The factors are those of a^T; its inverse, column-major, is a^-1, row-major.
  const int order = narrow(n);
  if (order == 0) return;
  std::fill_n(inverse, 2 * n * n, T{0});
  for (std::int64_t i = 0; i < n; ++i) inverse[2 * (i * n + i)] = T{1};
  const Storage storage(static_cast<std::size_t>(n) * sizeof(int));
  int* const pivots = reinterpret_cast<int*>(storage.data());
  const char mode = 'N';
  int factored = 0;
  int solved = 0;
  if constexpr (std::is_same_v<T, float>) {
    cgetrf_(&order, &order, a, &order, pivots, &factored);
    if (factored == 0) {
      cgetrs_(&mode, &order, &order, a, &order, pivots, inverse, &order, &solved);
    }
  } else {
    zgetrf_(&order, &order, a, &order, pivots, &factored);
    if (factored == 0) {
      zgetrs_(&mode, &order, &order, a, &order, pivots, inverse, &order, &solved);
    }
  }
  require<NumericError>(factored == 0 && solved == 0,
                        "inverse_complex: expected a regular matrix of order ", n,
                        ", got a zero pivot at ", factored);
  const auto size = static_cast<double>(n);
  count_flops(dtype_of<T>(), 4 * (2.0 / 3 + 2) * size * size * size);
}

// NOLINTBEGIN(bugprone-macro-parentheses): T is a type
#define ISOTAPE_INSTANTIATE(T)                                                                 \
  template void gemm_complex<T>(Op, Op, std::int64_t, std::int64_t, std::int64_t, T, const T*, \
                                std::int64_t, const T*, std::int64_t, T, T*, std::int64_t);    \
  template void inverse_complex<T>(std::int64_t, T*, T*);
ISOTAPE_INSTANTIATE(float)
ISOTAPE_INSTANTIATE(double)
#undef ISOTAPE_INSTANTIATE
// NOLINTEND(bugprone-macro-parentheses)

}  // namespace isotape::blas
