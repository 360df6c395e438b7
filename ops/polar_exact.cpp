#include <isotape/ops/polar.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

constexpr DType f64 = DType::f64;

// Rows of v scaled by the entries of d.
void scale_rows(std::int64_t n, const double* d, const double* v, double* y) {
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) y[i * n + j] = d[i] * v[i * n + j];
  }
}

// An eigenvalue of the Gram matrix is exact to a few eps sigma_max^2, its root thus to eps kappa^2
// relatively. Below this ratio of the extreme eigenvalues (kappa 3e3), and for f64 at once, that is
// not enough and the singular value decomposition of w itself takes over.
constexpr double gram_limit = 1e-7;

template <class T>
bool spectrum_of_gram(PolarShape shape, const T* w, double* vectors, double* sigma) {
  const std::int64_t n = shape.small();
  Tensor w64({shape.m, shape.n}, f64);
  std::copy(w, w + shape.size(), w64.write<double>());
  shape.gram(w64.data<double>(), vectors);
  blas::symmetric_eigen(n, vectors, sigma);  // ascending
  if (!(sigma[0] > gram_limit * sigma[n - 1])) return false;
  for (std::int64_t i = 0; i < n; ++i) sigma[i] = std::sqrt(sigma[i]);
  return true;
}

template <class T>
void spectrum_of_svd(PolarShape shape, const T* w, double* vectors, double* sigma) {
  const std::int64_t n = shape.small();
  Tensor copy({shape.m, shape.n}, f64);
  Tensor other({shape.large(), n}, f64);
  auto* const a = copy.write<double>();
  auto* const u = other.write<double>();
  std::copy(w, w + shape.size(), a);
  if (!shape.wide()) {
    blas::svd(shape.m, shape.n, a, sigma, u, vectors);
    return;
  }
  blas::svd(shape.m, shape.n, a, sigma, vectors, u);  // columns of `vectors` so far
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < i; ++j) std::swap(vectors[i * n + j], vectors[j * n + i]);
  }
}

// Note [Deflation]
//
// q = w r, r = p^-1 = v diag(1 / s) v^T, is exact to kappa u in a precision u. Trained matrices owe
// their kappa to few singular values far above the others. With t those right singular vectors, and
// r_b the part of r on the rest,
//
//     q = (w - w t t^T) r_b + (w t) diag(1 / s_t) t^T:
//
// the narrow products with t run in f64, the large one in f32 with condition 10 at most.
struct Deflation {
  static constexpr std::int64_t largest_part = 8;

  std::int64_t count = 0;
  double bound = std::numeric_limits<double>::infinity();  // of what is left

  // Whether that costs less than a large product in f64.
  static std::optional<Deflation> of(const Tensor& sigma_tensor) {
    constexpr double condition = 10;
    const auto sigma = sigma_tensor.values<double>();
    const double bound = condition * *std::min_element(sigma.begin(), sigma.end());
    const std::int64_t count =
        std::count_if(sigma.begin(), sigma.end(), [bound](double s) { return s > bound; });
    if (!(bound > 0) || count * largest_part > sigma_tensor.size()) return std::nullopt;
    return Deflation{count, bound};
  }
};

// The first m rows of a result with room for `rows`.
template <class T>
Tensor rounded(std::int64_t rows, std::int64_t m, std::int64_t n, const double* x) {
  Tensor y({rows, n}, dtype_of<T>());
  std::transform(x, x + m * n, y.write<T>(), [](double entry) { return static_cast<T>(entry); });
  return y;
}

// The polar factor by Note [Deflation].
template <class T>
void apply_deflated(const Deflation& deflation, PolarShape shape, const T* w,
                    const Spectrum& spectrum, T* q) {
  const std::int64_t n = shape.small();
  const std::int64_t count = deflation.count;
  const auto* const vectors = spectrum.vectors.data<double>();
  const auto* const sigma = spectrum.sigma.data<double>();
  // As large as they may get, so that a changing count asks the system for nothing.
  const std::int64_t most = n / Deflation::largest_part;
  Tensor work({2 * n + most, n}, f64);
  auto* const scaled = work.write<double>();
  double* const r = scaled + n * n;
  double* const top = r + n * n;  // t^T
  Tensor inverse({most}, f64);
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double h = sigma[i] > deflation.bound ? 0 : 1 / sigma[i];
    for (std::int64_t j = 0; j < n; ++j) scaled[i * n + j] = h * vectors[i * n + j];
    if (h > 0) continue;
    std::copy_n(vectors + i * n, n, top + found * n);
    inverse.write<double>()[found++] = 1 / sigma[i];
  }
  blas::gemm(true, false, n, n, n, 1.0, vectors, n, scaled, n, 0.0, r, n);
  const Tensor rest = rounded<T>(n, n, n, r);
  if (count == 0) {
    shape.apply(w, rest.data<T>(), T{0}, q);
    return;
  }
  Tensor wide({shape.m, shape.n}, f64);
  auto* const w64 = wide.write<double>();
  std::copy(w, w + shape.size(), w64);
  Tensor images({most, shape.large()}, f64);  // (w t)^T
  auto* const image = images.write<double>();
  shape.to_basis(count, top, w64, image);
  shape.from_basis(count, top, image, -1.0, 1.0, w64);
  shape.apply(rounded<T>(shape.m, shape.m, shape.n, w64).template data<T>(), rest.data<T>(), T{0},
              q);
  for (std::int64_t i = 0; i < count; ++i) {
    const double h = inverse.data<double>()[i];
    for (std::int64_t j = 0; j < shape.large(); ++j) image[i * shape.large() + j] *= h;
  }
  shape.from_basis(count, rounded<T>(most, count, n, top).template data<T>(),
                   rounded<T>(most, count, shape.large(), image).template data<T>(), T{1}, T{1}, q);
}

}  // namespace

template <class T>
void polar_require_finite(std::string_view op, PolarShape shape, const T* w, std::int64_t matrix) {
  T sum = 0;
  for (std::int64_t i = 0; i < shape.size(); ++i) sum += w[i] * T{0};
  if (sum == 0) [[likely]]
    return;
  const T* const bad =
      std::find_if(w, w + shape.size(), [](T entry) { return !std::isfinite(entry); });
  throw NumericError(message(op, ": expected finite entries, got ", *bad, " at [",
                             (bad - w) / shape.n, ", ", (bad - w) % shape.n, "] of matrix ",
                             matrix));
}

template <class T>
Spectrum polar_spectrum(PolarShape shape, const T* w) {
  const std::int64_t n = shape.small();
  Spectrum spectrum{Tensor({n, n}, f64), Tensor({n}, f64)};
  auto* const vectors = spectrum.vectors.write<double>();
  auto* const sigma = spectrum.sigma.write<double>();
  if (std::is_same_v<T, double> || !spectrum_of_gram(shape, w, vectors, sigma)) {
    spectrum_of_svd(shape, w, vectors, sigma);
  }
  return spectrum;
}

void polar_drop_null_space(Spectrum& spectrum) {
  const double zero = 1e-7 * max_abs(spectrum.sigma);
  auto* const sigma = spectrum.sigma.write<double>();
  std::replace_if(
      sigma, sigma + spectrum.sigma.size(), [zero](double s) { return s <= zero; }, 0.0);
}

template <class T>
double row_column_norm(PolarShape shape, const T* w) {
  Tensor columns = Tensor::zeros({shape.n}, f64);
  auto* const column = columns.write<double>();
  double row_max = 0;
  for (std::int64_t i = 0; i < shape.m; ++i) {
    double row = 0;
    for (std::int64_t j = 0; j < shape.n; ++j) {
      const double entry = std::abs(static_cast<double>(w[i * shape.n + j]));
      row += entry;
      column[j] += entry;
    }
    row_max = std::max(row_max, row);
  }
  return std::sqrt(row_max) * std::sqrt(*std::max_element(column, column + shape.n));
}

template <class T>
double polar_prescale(PolarShape shape, const T* w, const Spectrum& spectrum) {
  const double sigma_max = max_abs(spectrum.sigma);
  if (sigma_max == 0) return 1;
  double eighth = 0;
  for (const double s : spectrum.sigma.values<double>()) eighth += std::pow(s / sigma_max, 8);
  return std::min(sigma_max * std::pow(eighth, 1.0 / 8), row_column_norm(shape, w));
}

template <class T>
void polar_exact(const PolarMap& map, PolarShape shape, const T* w, const Spectrum& spectrum,
                 T* q) {
  if (map.converged() && narrow_product<T>(shape)) {
    if (const auto deflation = Deflation::of(spectrum.sigma)) {
      apply_deflated(*deflation, shape, w, spectrum, q);
      return;
    }
  }
  const std::int64_t n = shape.small();
  const auto* vectors = spectrum.vectors.data<double>();
  Tensor work({2 * n + 1, n}, f64);
  auto* const scaled = work.write<double>();
  double* const r = scaled + n * n;
  double* const h = r + n * n;
  polar_quotients(map, n, spectrum.sigma.data<double>(), h);
  scale_rows(n, h, vectors, scaled);
  blas::gemm(true, false, n, n, n, 1.0, vectors, n, scaled, n, 0.0, r, n);  // v h v^T

  Tensor w64({shape.m, shape.n}, f64);
  std::copy(w, w + shape.size(), w64.write<double>());
  if constexpr (std::is_same_v<T, double>) {
    shape.apply(w64.data<double>(), r, 0.0, q);
  } else {
    Tensor q64({shape.m, shape.n}, f64);
    auto* const exact = q64.write<double>();
    shape.apply(w64.data<double>(), r, 0.0, exact);
    std::transform(exact, exact + shape.size(), q, [](double x) { return static_cast<T>(x); });
  }
}

template <class T>
double polar_defect(PolarShape shape, const T* q) {
  const std::int64_t n = shape.small();
  Tensor gram({n, n}, dtype_of<T>());
  auto* const g = gram.write<T>();
  shape.gram(q, g);
  T largest = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      const T entry = std::abs(g[i * n + j] - (i == j ? T{1} : T{0}));
      if (!(entry <= largest)) largest = entry;
      if (std::isnan(largest)) return std::numeric_limits<double>::quiet_NaN();
    }
  }
  return static_cast<double>(largest);
}

template void polar_require_finite<float>(std::string_view, PolarShape, const float*, std::int64_t);
template Spectrum polar_spectrum<float>(PolarShape, const float*);
template double row_column_norm<float>(PolarShape, const float*);
template double polar_prescale<float>(PolarShape, const float*, const Spectrum&);
template void polar_exact<float>(const PolarMap&, PolarShape, const float*, const Spectrum&,
                                 float*);
template double polar_defect<float>(PolarShape, const float*);
template void polar_require_finite<double>(std::string_view, PolarShape, const double*,
                                           std::int64_t);
template Spectrum polar_spectrum<double>(PolarShape, const double*);
template double row_column_norm<double>(PolarShape, const double*);
template double polar_prescale<double>(PolarShape, const double*, const Spectrum&);
template void polar_exact<double>(const PolarMap&, PolarShape, const double*, const Spectrum&,
                                  double*);
template double polar_defect<double>(PolarShape, const double*);

}  // namespace isotape
