#include <isotape/core/blas.hpp>

#include <cblas.h>
#include <algorithm>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/flop_count.hpp>
#include <isotape/core/memory.hpp>

// LAPACK as it stands in OpenBLAS itself; LAPACKE would bring a second BLAS into the process.
// Arrays are column-major there: a row-major [m, n] is handed over as its transpose.
// NOLINTBEGIN(readability-identifier-naming): names of Fortran
extern "C" {
void sgesdd_(const char*, const int*, const int*, float*, const int*, float*, float*, const int*,
             float*, const int*, float*, const int*, int*, int*);
void dgesdd_(const char*, const int*, const int*, double*, const int*, double*, double*, const int*,
             double*, const int*, double*, const int*, int*, int*);
void zgesdd_(const char*, const int*, const int*, double*, const int*, double*, double*, const int*,
             double*, const int*, double*, const int*, double*, int*, int*);
void sgetrf_(const int*, const int*, float*, const int*, int*, int*);
void dgetrf_(const int*, const int*, double*, const int*, int*, int*);
void sgetrs_(const char*, const int*, const int*, const float*, const int*, const int*, float*,
             const int*, int*);
void dgetrs_(const char*, const int*, const int*, const double*, const int*, const int*, double*,
             const int*, int*);
void spotrf_(const char*, const int*, float*, const int*, int*);
void dpotrf_(const char*, const int*, double*, const int*, int*);
void strtri_(const char*, const char*, const int*, float*, const int*, int*);
void dtrtri_(const char*, const char*, const int*, double*, const int*, int*);
void sgeqrf_(const int*, const int*, float*, const int*, float*, float*, const int*, int*);
void dgeqrf_(const int*, const int*, double*, const int*, double*, double*, const int*, int*);
void sorgqr_(const int*, const int*, const int*, float*, const int*, const float*, float*,
             const int*, int*);
void dorgqr_(const int*, const int*, const int*, double*, const int*, const double*, double*,
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

void check(const char* routine, int info) {
  require<NumericError>(info == 0, routine, ": expected convergence, got info = ", info,
                        "; is the input finite?");
}

// Work arrays come from the pool of tensors, so that a training step asks the system for nothing.
template <class T>
class Work {
 public:
  explicit Work(std::int64_t n) : storage_(static_cast<std::size_t>(n) * sizeof(T)) {}
  T* data() { return reinterpret_cast<T*>(storage_.data()); }
  T& operator[](std::int64_t i) { return data()[i]; }

 private:
  Storage storage_;
};

// Flops of a routine on [m, n] as flop_count.hpp lists them: long_side m n^2 + small_side n^3 for
// m >= n.
template <class T>
void count(double long_side, double small_side, std::int64_t m, std::int64_t n) {
  const auto large = static_cast<double>(std::max(m, n));
  const auto small = static_cast<double>(std::min(m, n));
  count_flops(dtype_of<T>(), (long_side * large + small_side * small) * small * small);
}
// Of a product with m n k multiplications.
template <class T>
void count_product(std::int64_t m, std::int64_t n, std::int64_t k) {
  count_flops(dtype_of<T>(), 2 * static_cast<double>(m) * static_cast<double>(n * k));
}

CBLAS_TRANSPOSE flag(bool trans) { return trans ? CblasTrans : CblasNoTrans; }

// Overloads, so that the templates below are written once.
#define ISOTAPE_LAPACK(name)          \
  template <class... A>               \
  void name(float, A... arguments) {  \
    s##name##_(arguments...);         \
  }                                   \
  template <class... A>               \
  void name(double, A... arguments) { \
    d##name##_(arguments...);         \
  }
ISOTAPE_LAPACK(gesdd)
ISOTAPE_LAPACK(getrf)
ISOTAPE_LAPACK(getrs)
ISOTAPE_LAPACK(potrf)
ISOTAPE_LAPACK(trtri)
ISOTAPE_LAPACK(geqrf)
ISOTAPE_LAPACK(orgqr)
#undef ISOTAPE_LAPACK

// `vectors` is 'S' or 'N'. a is row-major [m, n], that is column-major [n, m] = A^T = V S U^T: what
// LAPACK calls u is v here, and its vt is u, both already row-major.
template <class T>
void gesdd_row_major(char vectors, std::int64_t m, std::int64_t n, T* a, T* s, T* u, T* vt) {
  const int rows = narrow(n);
  const int columns = narrow(m);
  const int rank = std::min(rows, columns);
  if (rank == 0) return;
  Work<int> integers(8 * std::int64_t{rank});
  T query = 0;
  int info = 0;
  const int length = -1;
  gesdd(T{}, &vectors, &rows, &columns, a, &rows, s, vt, &rows, u, &rank, &query, &length,
        integers.data(), &info);
  const int size = static_cast<int>(query);
  Work<T> work(size);
  gesdd(T{}, &vectors, &rows, &columns, a, &rows, s, vt, &rows, u, &rank, work.data(), &size,
        integers.data(), &info);
  check("svd", info);
}

}  // namespace

void set_num_threads(int n) { openblas_set_num_threads(n); }

std::string description() { return openblas_get_config(); }

std::string kernels() { return openblas_get_corename(); }

bool uses_openmp() { return openblas_get_parallel() == 2; }

template <class T>
void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, T alpha,
          const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c,
          std::int64_t ldc) {
  count_product<T>(m, n, k);
  if constexpr (std::is_same_v<T, float>) {
    cblas_sgemm(CblasRowMajor, flag(trans_a), flag(trans_b), narrow(m), narrow(n), narrow(k), alpha,
                a, stride(lda), b, stride(ldb), beta, c, stride(ldc));
  } else {
    cblas_dgemm(CblasRowMajor, flag(trans_a), flag(trans_b), narrow(m), narrow(n), narrow(k), alpha,
                a, stride(lda), b, stride(ldb), beta, c, stride(ldc));
  }
}

template <class T>
void syrk(bool trans, std::int64_t n, std::int64_t k, T alpha, const T* a, std::int64_t lda, T beta,
          T* c, std::int64_t ldc) {
  count_flops(dtype_of<T>(), static_cast<double>(n * (n + 1)) * static_cast<double>(k));
  if constexpr (std::is_same_v<T, float>) {
    cblas_ssyrk(CblasRowMajor, CblasLower, flag(trans), narrow(n), narrow(k), alpha, a, stride(lda),
                beta, c, stride(ldc));
  } else {
    cblas_dsyrk(CblasRowMajor, CblasLower, flag(trans), narrow(n), narrow(k), alpha, a, stride(lda),
                beta, c, stride(ldc));
  }
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < i; ++j) c[j * ldc + i] = c[i * ldc + j];
  }
}

template <class T>
void gemv(bool trans, std::int64_t m, std::int64_t n, T alpha, const T* a, std::int64_t lda,
          const T* x, T beta, T* y) {
  count_product<T>(m, n, 1);
  if constexpr (std::is_same_v<T, float>) {
    cblas_sgemv(CblasRowMajor, flag(trans), narrow(m), narrow(n), alpha, a, stride(lda), x, 1, beta,
                y, 1);
  } else {
    cblas_dgemv(CblasRowMajor, flag(trans), narrow(m), narrow(n), alpha, a, stride(lda), x, 1, beta,
                y, 1);
  }
}

template <class T>
void singular_values(std::int64_t m, std::int64_t n, T* a, T* values) {
  gesdd_row_major<T>('N', m, n, a, values, a, a);
  count<T>(4, -4.0 / 3, m, n);
}

template <class T>
void svd(std::int64_t m, std::int64_t n, T* a, T* s, T* u, T* vt) {
  gesdd_row_major<T>('S', m, n, a, s, u, vt);
  count<T>(8, 4.0 / 3, m, n);
}

void singular_values_complex(std::int64_t m, std::int64_t n, double* a, double* values) {
  const int rows = narrow(n);
  const int columns = narrow(m);
  const int rank = std::min(rows, columns);
  if (rank == 0) return;
  const char vectors = 'N';
  Work<int> integers(8 * std::int64_t{rank});
  Work<double> reals(7 * std::int64_t{rank});
  double query[2] = {0, 0};
  int info = 0;
  const int length = -1;
  zgesdd_(&vectors, &rows, &columns, a, &rows, values, a, &rows, a, &rank, query, &length,
          reals.data(), integers.data(), &info);
  const int size = static_cast<int>(query[0]);
  Work<double> work(2 * std::int64_t{size});
  zgesdd_(&vectors, &rows, &columns, a, &rows, values, a, &rows, a, &rank, work.data(), &size,
          reals.data(), integers.data(), &info);
  check("singular_values_complex", info);
  count<double>(4 * 4, -4 * 4.0 / 3, m, n);
}

template <class T>
void lu_factor(std::int64_t n, T* a, int* pivots) {
  const int order = narrow(n);
  if (order == 0) return;
  int info = 0;
  getrf(T{}, &order, &order, a, &order, pivots, &info);
  require<NumericError>(info == 0, "lu_factor: expected a regular matrix of order ", n,
                        ", got a zero pivot at ", info);
  count<T>(0, 2.0 / 3, n, n);
}

template <class T>
void lu_solve(bool trans, std::int64_t n, std::int64_t columns, const T* lu, const int* pivots,
              T* b) {
  // The factors are those of A^T, and getrs wants column-major right-hand sides: B^T is copied in
  // and out column by column.
  const int order = narrow(n);
  const int sides = narrow(columns);
  if (order == 0 || sides == 0) return;
  const char mode = trans ? 'N' : 'T';
  Work<T> transposed(n * columns);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) transposed[j * n + i] = b[i * columns + j];
  }
  int info = 0;
  getrs(T{}, &mode, &order, &sides, lu, &order, pivots, transposed.data(), &order, &info);
  check("lu_solve", info);
  count_product<T>(n, n, columns);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) b[i * columns + j] = transposed[j * n + i];
  }
}

template <class T>
void lu_inverse(std::int64_t n, const T* lu, const int* pivots, T* inverse) {
  // The factors are those of A^T; its inverse, column-major, is A^-1, row-major.
  const int order = narrow(n);
  if (order == 0) return;
  std::fill_n(inverse, n * n, T{0});
  for (std::int64_t i = 0; i < n; ++i) inverse[i * n + i] = T{1};
  const char mode = 'N';
  int info = 0;
  getrs(T{}, &mode, &order, &order, lu, &order, pivots, inverse, &order, &info);
  check("lu_inverse", info);
  count_product<T>(n, n, n);
}

template <class T>
bool cholesky(std::int64_t n, T* a) {
  const int order = narrow(n);
  const char triangle = 'U';  // of the transpose: our lower one
  int info = 0;
  if (order > 0) potrf(T{}, &triangle, &order, a, &order, &info);
  count<T>(0, 1.0 / 3, n, n);
  bool positive = info == 0;
  for (std::int64_t i = 0; i < n; ++i) {
    std::fill(a + i * n + i + 1, a + (i + 1) * n, T{0});
    positive = positive && a[i * n + i] > 0;  // OpenBLAS lets a NaN pass
  }
  return positive;
}

template <class T>
void triangular_inverse(std::int64_t n, T* a) {
  const int order = narrow(n);
  if (order == 0) return;
  const char triangle = 'U';  // of the transpose: our lower one
  const char diagonal = 'N';
  int info = 0;
  trtri(T{}, &triangle, &diagonal, &order, a, &order, &info);
  require<NumericError>(info == 0, "triangular_inverse: expected a regular matrix of order ", n,
                        ", got a zero on the diagonal at ", info);
  count<T>(0, 1.0 / 3, n, n);
}

template <class T>
void triangular_product(bool right, bool trans, std::int64_t m, std::int64_t n, const T* a, T* b) {
  const auto size = static_cast<double>(m * n);
  count_flops(dtype_of<T>(), size * static_cast<double>(right ? n : m));
  const CBLAS_SIDE side = right ? CblasRight : CblasLeft;
  const int order = stride(right ? n : m);
  if constexpr (std::is_same_v<T, float>) {
    cblas_strmm(CblasRowMajor, side, CblasLower, flag(trans), CblasNonUnit, narrow(m), narrow(n), 1,
                a, order, b, stride(n));
  } else {
    cblas_dtrmm(CblasRowMajor, side, CblasLower, flag(trans), CblasNonUnit, narrow(m), narrow(n), 1,
                a, order, b, stride(n));
  }
}

template <class T>
void qr_orthonormal(std::int64_t m, std::int64_t n, T* a, T* signs) {
  require<ShapeError>(m >= n, "qr_orthonormal: expected m >= n, got [", m, ", ", n, "]");
  const int rows = narrow(m);
  const int columns = narrow(n);
  if (columns == 0) return;
  Work<T> tall(m * n);  // column-major
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) tall[j * m + i] = a[i * n + j];
  }
  Work<T> tau(n);
  const int size = 64 * columns;
  Work<T> work(size);
  int info = 0;
  geqrf(T{}, &rows, &columns, tall.data(), &rows, tau.data(), work.data(), &size, &info);
  check("qr_orthonormal", info);
  for (std::int64_t j = 0; j < n; ++j) signs[j] = tall[j * m + j] < 0 ? T{-1} : T{1};
  orgqr(T{}, &rows, &columns, &columns, tall.data(), &rows, tau.data(), work.data(), &size, &info);
  check("qr_orthonormal", info);
  count<T>(4, -4.0 / 3, m, n);
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) a[i * n + j] = tall[j * m + i];
  }
}

// NOLINTBEGIN(bugprone-macro-parentheses): T is a type
#define ISOTAPE_INSTANTIATE(T)                                                                    \
  template void gemm<T>(bool, bool, std::int64_t, std::int64_t, std::int64_t, T, const T*,        \
                        std::int64_t, const T*, std::int64_t, T, T*, std::int64_t);               \
  template void syrk<T>(bool, std::int64_t, std::int64_t, T, const T*, std::int64_t, T, T*,       \
                        std::int64_t);                                                            \
  template void gemv<T>(bool, std::int64_t, std::int64_t, T, const T*, std::int64_t, const T*, T, \
                        T*);                                                                      \
  template void singular_values<T>(std::int64_t, std::int64_t, T*, T*);                           \
  template void svd<T>(std::int64_t, std::int64_t, T*, T*, T*, T*);                               \
  template void lu_factor<T>(std::int64_t, T*, int*);                                             \
  template void lu_solve<T>(bool, std::int64_t, std::int64_t, const T*, const int*, T*);          \
  template void lu_inverse<T>(std::int64_t, const T*, const int*, T*);                            \
  template bool cholesky<T>(std::int64_t, T*);                                                    \
  template void triangular_inverse<T>(std::int64_t, T*);                                          \
  template void triangular_product<T>(bool, bool, std::int64_t, std::int64_t, const T*, T*);      \
  template void qr_orthonormal<T>(std::int64_t, std::int64_t, T*, T*);
ISOTAPE_INSTANTIATE(float)
ISOTAPE_INSTANTIATE(double)
#undef ISOTAPE_INSTANTIATE
// NOLINTEND(bugprone-macro-parentheses)

}  // namespace isotape::blas
