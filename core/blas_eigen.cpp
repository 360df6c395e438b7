#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/flop_count.hpp>
#include <isotape/core/memory.hpp>

// LAPACK's driver spends a third of its time on the back-transformation of the eigenvectors of the
// tridiagonal matrix, in blocks of 32 columns whose products run at a third of the rate of large
// ones. From some order on its three parts are called one by one, with that of our own.
// NOLINTBEGIN(readability-identifier-naming): names of Fortran
extern "C" {
void ssyevd_(const char*, const char*, const int*, float*, const int*, float*, float*, const int*,
             int*, const int*, int*);
void dsyevd_(const char*, const char*, const int*, double*, const int*, double*, double*,
             const int*, int*, const int*, int*);
void ssytrd_(const char*, const int*, float*, const int*, float*, float*, float*, float*,
             const int*, int*);
void dsytrd_(const char*, const int*, double*, const int*, double*, double*, double*, double*,
             const int*, int*);
void sstedc_(const char*, const int*, float*, float*, float*, const int*, float*, const int*, int*,
             const int*, int*);
void dstedc_(const char*, const int*, double*, double*, double*, const int*, double*, const int*,
             int*, const int*, int*);
}
// NOLINTEND(readability-identifier-naming)

namespace isotape::blas {
namespace {

constexpr std::int64_t smallest_by_parts = 128;
constexpr std::int64_t block = 64;  // reflectors applied at once

#define ISOTAPE_LAPACK(name)          \
  template <class... A>               \
  void name(float, A... arguments) {  \
    s##name##_(arguments...);         \
  }                                   \
  template <class... A>               \
  void name(double, A... arguments) { \
    d##name##_(arguments...);         \
  }
ISOTAPE_LAPACK(syevd)
ISOTAPE_LAPACK(sytrd)
ISOTAPE_LAPACK(stedc)
#undef ISOTAPE_LAPACK

template <class T>
class Work {
 public:
  explicit Work(std::int64_t n) : storage_(static_cast<std::size_t>(n) * sizeof(T)) {}
  T* data() { return reinterpret_cast<T*>(storage_.data()); }

 private:
  Storage storage_;
};

int narrow(std::int64_t extent) {
  require<ShapeError>(0 <= extent && extent <= std::numeric_limits<int>::max(),
                      "blas: expected extents below 2^31, got ", extent);
  return static_cast<int>(extent);
}

void check(int info) {
  require<NumericError>(info == 0, "symmetric_eigen: expected convergence, got info = ", info,
                        "; is the input finite?");
}

template <class T>
void by_driver(int n, T* a, T* values) {
  const char vectors = 'V';
  const char triangle = 'U';
  const int query = -1;
  T size = 0;
  int integers_size = 0;
  int info = 0;
  syevd(T{}, &vectors, &triangle, &n, a, &n, values, &size, &query, &integers_size, &query, &info);
  const int work_size = static_cast<int>(size);
  Work<T> work(work_size);
  Work<int> integers(integers_size);
  syevd(T{}, &vectors, &triangle, &n, a, &n, values, work.data(), &work_size, integers.data(),
        &integers_size, &info);
  check(info);
}

// max |a|. LAPACK makes numbers of a NaN in a large matrix.
template <class T>
T largest_entry(std::int64_t n, const T* a) {
  T largest = 0;
  for (std::int64_t i = 0; i < n * n; ++i) {
    require<NumericError>(std::isfinite(a[i]), "symmetric_eigen: expected finite entries, got ",
                          a[i]);
    largest = std::max(largest, std::abs(a[i]));
  }
  return largest;
}

// Where squares neither overflow nor vanish; elsewhere the driver scales the matrix.
template <class T>
bool is_in_safe_range(T largest) {
  const T smallest = std::sqrt(std::numeric_limits<T>::min() / std::numeric_limits<T>::epsilon());
  return largest > smallest && largest < 1 / smallest;
}

// Some of the n - 1 reflectors that led to the tridiagonal form: reflector i, from column i of the
// lower triangle of the column-major a, is H_i = I - tau_i v v^T with v = (0..0, 1, a[i+2.., i]),
// the 1 in place i + 1. Their product in order is I - V R V^T, R upper triangular.
template <class T>
class Reflectors {
 public:
  explicit Reflectors(std::int64_t n) : n_(n), space_(3 * n * block + 2 * block * block) {}

  void load(const T* a, const T* tau, std::int64_t first, std::int64_t count) {
    first_ = first;
    rows_ = n_ - first - 1;
    count_ = count;
    for (std::int64_t k = 0; k < count; ++k) {
      const T* const column = a + (first + k) * n_ + first + 1;
      for (std::int64_t i = 0; i < rows_; ++i) {
        v()[i * count + k] = i < k ? T{0} : i == k ? T{1} : column[i];
      }
    }
    T* const gram = r() + block * block;
    syrk<T>(true, count, rows_, 1, v(), count, 0, gram, count);
    fill_triangle(gram, tau + first);
  }

  // z <- (I - V R V^T) z for each row z of [n, n]: z -= ((z V) R^T) V^T.
  void apply(T* z) {
    T* const part = z + first_ + 1;
    T* const product = v() + n_ * block;
    T* const turned = product + n_ * block;
    gemm<T>(false, false, n_, count_, rows_, 1, part, n_, v(), count_, 0, product, count_);
    gemm<T>(false, true, n_, count_, count_, 1, product, count_, r(), count_, 0, turned, count_);
    gemm<T>(false, true, n_, rows_, count_, -1, turned, count_, v(), count_, 1, part, n_);
  }

 private:
  // Column k of R: tau_k on the diagonal, -tau_k R (V^T v_k) above it [LAPACK, larft].
  void fill_triangle(const T* gram, const T* tau) {
    std::fill_n(r(), count_ * count_, T{0});
    for (std::int64_t k = 0; k < count_; ++k) {
      for (std::int64_t i = 0; i < k; ++i) {
        T sum = 0;
        for (std::int64_t j = i; j < k; ++j) sum += r()[i * count_ + j] * gram[k * count_ + j];
        r()[i * count_ + k] = -tau[k] * sum;
      }
      r()[k * count_ + k] = tau[k];
    }
  }
  T* r() { return space_.data(); }                      // [count, count]
  T* v() { return space_.data() + 2 * block * block; }  // [rows, count]

  std::int64_t n_;
  std::int64_t first_ = 0;
  std::int64_t rows_ = 0;
  std::int64_t count_ = 0;
  Work<T> space_;
};

template <class T>
void by_parts(std::int64_t n, T* a, T* values) {
  const int order = narrow(n);
  const char triangle = 'L';
  const int query = -1;
  T size = 0;
  int info = 0;
  Work<T> off_diagonal(n);
  Work<T> tau(n);
  sytrd(T{}, &triangle, &order, a, &order, values, off_diagonal.data(), tau.data(), &size, &query,
        &info);
  const int tridiagonal_size = narrow(static_cast<std::int64_t>(size));
  const int vectors_size = narrow(1 + 4 * n + n * n);
  const int integers_size = narrow(3 + 5 * n);
  Work<T> work(std::max(tridiagonal_size, vectors_size));
  Work<int> integers(integers_size);
  sytrd(T{}, &triangle, &order, a, &order, values, off_diagonal.data(), tau.data(), work.data(),
        &tridiagonal_size, &info);
  check(info);

  Work<T> vectors(n * n);
  const char of_tridiagonal = 'I';
  stedc(T{}, &of_tridiagonal, &order, values, off_diagonal.data(), vectors.data(), &order,
        work.data(), &vectors_size, integers.data(), &integers_size, &info);
  check(info);

  // The last reflectors first: their product is applied from the left.
  const std::int64_t reflectors = n - 1;
  Reflectors<T> some(n);
  for (std::int64_t first = (reflectors - 1) / block * block; first >= 0; first -= block) {
    some.load(a, tau.data(), first, std::min(block, reflectors - first));
    some.apply(vectors.data());
  }
  std::copy_n(vectors.data(), n * n, a);
}

}  // namespace

template <class T>
void symmetric_eigen(std::int64_t n, T* a, T* values) {
  if (n == 0) return;
  const T largest = largest_entry(n, a);
  if (n >= smallest_by_parts && is_in_safe_range(largest)) {
    by_parts(n, a, values);
    // The back-transformation has counted its products.
    count_flops(dtype_of<T>(), 8.0 / 3 * std::pow(static_cast<double>(n), 3));
  } else {
    by_driver(narrow(n), a, values);
    count_flops(dtype_of<T>(), 14.0 / 3 * std::pow(static_cast<double>(n), 3));
  }
}

template void symmetric_eigen<float>(std::int64_t, float*, float*);
template void symmetric_eigen<double>(std::int64_t, double*, double*);

}  // namespace isotape::blas
