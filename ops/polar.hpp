#pragma once

#include <cstdint>
#include <isotape/core/blas.hpp>
#include <isotape/core/tensor.hpp>
#include <isotape/ops/polar_map.hpp>

namespace isotape {

// The kernels under bjorck, each on one matrix w [m, n]. The mathematics is written for m >= n;
// where m < n it is that of w^T, and `small` = m.

/// Extents of w, and the products that occur, in w's own storage order. The primes stand for the
/// tall orientation: a' = a if m >= n, a^T if not.
struct PolarShape {
  std::int64_t m = 0;
  std::int64_t n = 0;

  bool wide() const { return m < n; }
  std::int64_t small() const { return wide() ? m : n; }
  std::int64_t large() const { return wide() ? n : m; }
  std::int64_t size() const { return m * n; }

  /// g = a'^T a', symmetric [small, small].
  template <class T>
  void gram(const T* a, T* g) const {
    blas::syrk<T>(!wide(), small(), large(), T{1}, a, n, T{0}, g, small());
  }
  /// k = a'^T b', [small, small].
  template <class T>
  void inner(const T* a, const T* b, T* k) const {
    blas::gemm<T>(!wide(), wide(), small(), small(), large(), T{1}, a, n, b, n, T{0}, k, small());
  }
  /// y' = alpha a' r + beta y', r [small, small].
  template <class T>
  void apply(T alpha, const T* a, const T* r, T beta, T* y) const {
    if (wide()) {
      blas::gemm<T>(true, false, m, n, m, alpha, r, m, a, n, beta, y, n);
    } else {
      blas::gemm<T>(false, false, m, n, n, alpha, a, n, r, n, beta, y, n);
    }
  }
};

/// Relative threshold below which a singular value counts as zero in the polar factor.
inline constexpr double polar_rank_tolerance = 1e-7;

/// The singular values of w and its singular vectors on the small side, in f64: row i of vectors
/// [small, small] belongs to sigma[i] [small].
template <class T>
void polar_spectrum(PolarShape shape, const T* w, double* vectors, double* sigma);

/// The least of the proved bounds of sigma_max that are cheap to have: the Schatten 8-norm, which
/// is ||(w^T w)^2||_F^(1/4), from the singular values, and (||w||_1 ||w||_inf)^(1/2). 1 for w = 0.
template <class T>
double polar_prescale(PolarShape shape, const T* w, const double* sigma);

/// q = w h(w^T w), computed in f64 from the spectrum, and rounded once.
template <class T>
void polar_from_spectrum(const PolarMap& map, PolarShape shape, const T* w, const double* vectors,
                         const double* sigma, T* q);

/// max |q'^T q' - I|, measured in T.
template <class T>
double polar_defect(PolarShape shape, const T* q);

/// dw = the derivative of w -> q at w, applied to dq. It is symmetric (q is the gradient of the
/// function sum F(s_i), F' = f, of w), so this is both the vjp and the jvp.
/// @param left  q for the polar factor, w for a fixed number of steps
template <class T>
void polar_derivative(const PolarMap& map, PolarShape shape, const T* left, const double* vectors,
                      const double* sigma, const T* dq, T* dw);

}  // namespace isotape
