#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

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
  /// Whether the exact path keeps both singular bases (5 large products in all) or only that of the
  /// small side (4 to 5 large ones and 6 small ones).
  bool factored() const { return 2 * large() < 5 * small(); }

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
  /// y' = a' r + beta y', r [small, small].
  template <class T>
  void apply(const T* a, const T* r, T beta, T* y) const {
    if (wide()) {
      blas::gemm<T>(true, false, m, n, m, T{1}, r, m, a, n, beta, y, n);
    } else {
      blas::gemm<T>(false, false, m, n, n, T{1}, a, n, r, n, beta, y, n);
    }
  }
  /// y = v a'^T, [rows, large], for some rows v [rows, small] of an orthonormal basis; and the
  /// transpose, a'^T = alpha v^T y + beta a'^T.
  template <class T>
  void to_basis(std::int64_t rows, const T* v, const T* a, T* y) const {
    blas::gemm<T>(false, !wide(), rows, large(), small(), T{1}, v, small(), a, n, T{0}, y, large());
  }
  template <class T>
  void from_basis(std::int64_t rows, const T* v, const T* y, T alpha, T beta, T* a) const {
    if (wide()) {
      blas::gemm<T>(true, false, m, n, rows, alpha, v, m, y, n, beta, a, n);
    } else {
      blas::gemm<T>(true, false, m, n, rows, alpha, y, m, v, n, beta, a, n);
    }
  }
};

/// @throws NumericError  `op: expected finite entries, got nan at [1, 0] of matrix 2`
template <class T>
void polar_require_finite(std::string_view op, PolarShape shape, const T* w, std::int64_t matrix);

/// Calls f(i, j) for all j <= i < n, tile by tile, so that the entries (i, j) and (j, i) of a
/// matrix stay in a core's first cache.
template <class F>
void for_pairs(std::int64_t n, F&& f) {
  constexpr std::int64_t tile = 32;
  for (std::int64_t i0 = 0; i0 < n; i0 += tile) {
    for (std::int64_t j0 = 0; j0 <= i0; j0 += tile) {
      for (std::int64_t i = i0; i < std::min(n, i0 + tile); ++i) {
        for (std::int64_t j = j0; j < std::min(i + 1, j0 + tile); ++j) f(i, j);
      }
    }
  }
}

/// Singular values of w and its singular vectors on the small side, in f64: row i of vectors
/// [small, small] belongs to sigma[i] [small]. In no order.
struct Spectrum {
  Tensor vectors;
  Tensor sigma;
};

/// By eigendecomposition of the Gram matrix in f64; for f64, and for f32 beyond kappa = 3e3, by the
/// singular value decomposition of w.
template <class T>
Spectrum polar_spectrum(PolarShape shape, const T* w);

/// Whether the last product of the exact path, of factors of condition 10 at most, runs in f32: for
/// f32 matrices of order 64 and more. Its error is a small multiple of the rounding error of f32.
template <class T>
constexpr bool narrow_product(PolarShape shape) {
  constexpr std::int64_t order = 64;
  return std::is_same_v<T, float> && shape.small() >= order;
}

/// Singular values below 1e-7 times the largest count as zero in the polar factor: sets them so.
void polar_drop_null_space(Spectrum& spectrum);

/// The least of the proved bounds of sigma_max that are cheap to have: the Schatten 8-norm, which
/// is ||(w^T w)^2||_F^(1/4), from the singular values, and (||w||_1 ||w||_inf)^(1/2). 1 for w = 0.
template <class T>
double polar_prescale(PolarShape shape, const T* w, const Spectrum& spectrum);
/// (||w||_1 ||w||_inf)^(1/2).
template <class T>
double row_column_norm(PolarShape shape, const T* w);

/// q = w h(w^T w) from the spectrum, in f64 and rounded once; but see Note [Deflation].
template <class T>
void polar_exact(const PolarMap& map, PolarShape shape, const T* w, const Spectrum& spectrum, T* q);

/// The singular vectors of w, of its type, rounded from f64: those of the large side are rows of
/// `left` [small, large], those of the small side rows of `right` [small, small]; zero on the left
/// where sigma is.
struct PolarFactors {
  Tensor left;
  Tensor right;
};

/// The polar factor q' = left^T right, from the spectrum; for shapes that are factored().
template <class T>
PolarFactors polar_factored(PolarShape shape, const T* w, const Spectrum& spectrum, T* q);

/// dw = the derivative of w -> q, q the polar factor, applied to dq, from the factors.
template <class T>
void polar_factored_derivative(PolarShape shape, const PolarFactors& factors, const Tensor& sigma,
                               const T* dq, T* dw);

/// What the iteration in w's own precision did.
struct FastOutcome {
  bool converged = false;  // for a fixed number of steps: whether the result is finite
  int steps = 0;
  double scale = 1;
};

/// q by the iteration itself. For the polar factor it runs until a further step of order 1, which
/// squares the defect, brings it below the tolerance, and makes that step; it gives up after as
/// many steps as kappa = 20 takes, beyond which rounding costs more than the exact path.
/// @param prescale  divides w; a proved bound of sigma_max as in polar_prescale, unless given
template <class T>
FastOutcome polar_fast(const PolarMap& map, PolarShape shape, const T* w, double tolerance,
                       std::optional<double> prescale, T* q);

/// max |q'^T q' - I|, measured in T.
template <class T>
double polar_defect(PolarShape shape, const T* q);

/// dw = the derivative of w -> q at w, applied to dq. It is symmetric (q is the gradient of the
/// function sum F(s_i), F' = f, of w), so this is both the vjp and the jvp.
/// @param left  q for the polar factor, w for a fixed number of steps
template <class T>
void polar_derivative(const PolarMap& map, PolarShape shape, const T* left,
                      const Spectrum& spectrum, const T* dq, T* dw);

}  // namespace isotape
