#include <isotape/ops/spectral.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>

namespace isotape {
namespace {

const Op spectral_normalize_op("spectral_normalize");

constexpr double too_short = 1e-3;
constexpr int restarts = 10;

// The l2 norm, safe from overflow and underflow of the squares.
double length(const Tensor& x) {
  const double largest = max_abs(x);
  if (largest == 0) return 0;
  return dispatch_float(x.dtype(), "spectral_norm", [&]<class T>() {
    const double sum = std::transform_reduce(
        x.data<T>(), x.data<T>() + x.size(), 0.0, std::plus<>(), [largest](T entry) {
          const double ratio = static_cast<double>(entry) / largest;
          return ratio * ratio;
        });
    return largest * std::sqrt(sum);
  });
}

// y = factor x.
Tensor times(const Tensor& x, double factor) {
  Tensor y(x.shape(), x.dtype());
  dispatch_float(x.dtype(), "spectral_normalize", [&]<class T>() {
    std::transform(x.data<T>(), x.data<T>() + x.size(), y.write<T>(), [factor](T entry) {
      return static_cast<T>(static_cast<double>(entry) * factor);
    });
  });
  return y;
}

// w x, or w^T x.
Tensor product(bool trans, const Tensor& w, const Tensor& x) {
  Tensor y({w.dim(trans ? 1 : 0)}, w.dtype());
  dispatch_float(w.dtype(), "spectral_norm", [&]<class T>() {
    blas::gemv(trans, w.dim(0), w.dim(1), T{1}, w.data<T>(), w.dim(1), x.data<T>(), T{0},
               y.write<T>());
  });
  return y;
}

// x / |x|; zero stays zero. In two steps, as 1 / |x| may overflow.
Tensor unit(const Tensor& x) {
  const double largest = max_abs(x);
  if (largest == 0) return x;
  const Tensor y = times(x, 1 / std::max(largest, 1e-300));
  return times(y, 1 / length(y));
}

void check(const Tensor& w, int iterations) {
  require<ShapeError>(w.rank() == 2 && w.size() > 0,
                      "spectral_norm: expected a matrix [m, n], got ", w.shape());
  require<ValueError>(iterations >= 1, "spectral_norm: expected iterations >= 1, got ", iterations);
  require<NumericError>(all_finite(w), "spectral_norm: expected finite entries of w");
}

SpectralEstimate iterate(const Tensor& w, int iterations, const Tensor& v) {
  SpectralEstimate estimate{0, {}, unit(v), iterations};
  for (int i = 0; i <= iterations; ++i) {
    const Tensor image = product(false, w, estimate.v);
    estimate.sigma = length(image);
    estimate.u = unit(image);
    if (i == iterations || estimate.sigma == 0) break;
    estimate.v = unit(product(true, w, estimate.u));
  }
  return estimate;
}

}  // namespace

SpectralEstimate spectral_norm(const Tensor& w, int iterations, Rng& rng) {
  check(w, iterations);
  const double least = too_short * length(w);
  Tensor v = random_normal(rng, {w.dim(1)}, 1, w.dtype());
  for (int i = 0; i < restarts && length(product(false, w, v)) < least; ++i) {
    v = random_normal(rng, {w.dim(1)}, 1, w.dtype());
  }
  return iterate(w, iterations, v);
}

SpectralEstimate spectral_norm(const Tensor& w, int iterations, const SpectralEstimate& start) {
  check(w, iterations);
  if (start.v) {
    require<ShapeError>(start.v.shape() == Shape{w.dim(1)} && start.v.dtype() == w.dtype(),
                        "spectral_norm: expected v of shape ", Shape{w.dim(1)}, " and type ",
                        w.dtype(), ", got ", start.v.shape(), " and ", start.v.dtype());
    if (length(product(false, w, start.v)) >= too_short * length(w) / std::sqrt(w.dim(1))) {
      return iterate(w, iterations, start.v);
    }
  }
  Rng rng(0);
  return spectral_norm(w, iterations, rng);
}

Var spectral_normalize(const Var& w_var, const Tensor& u, const Tensor& v) {
  const Tensor& w = w_var.value();
  require<ShapeError>(w.rank() == 2, "spectral_normalize: expected w of shape [m, n], got ",
                      w.shape());
  require<ShapeError>(u.shape() == Shape{w.dim(0)} && v.shape() == Shape{w.dim(1)},
                      "spectral_normalize: expected u of shape ", Shape{w.dim(0)},
                      " and v of shape ", Shape{w.dim(1)}, ", got ", u.shape(), " and ", v.shape());
  require<ShapeError>(u.dtype() == w.dtype() && v.dtype() == w.dtype(),
                      "spectral_normalize: expected one type, got ", w.dtype(), ", ", u.dtype(),
                      " and ", v.dtype());

  const double sigma = dot(u, product(false, w, v));
  const double inverse = sigma == 0 ? 0 : 1 / sigma;
  Tensor y = times(w, inverse);

  // dy = (dw - (u^T dw v) y) / sigma. Pairing it with dy and collecting dw:
  //     grad_w = (dy - <dy, y> u v^T) / sigma.
  auto vjp = [y, u, v, inverse](const Tensor& dy, Needs) -> Grads<1> {
    Tensor grad = times(dy, inverse);
    const double along = dot(dy, y) * inverse;
    dispatch_float(dy.dtype(), "spectral_normalize", [&]<class T>() {
      auto* const g = grad.write<T>();
      const std::int64_t n = v.size();
      for (std::int64_t i = 0; i < u.size(); ++i) {
        const T factor = static_cast<T>(along * static_cast<double>(u.data<T>()[i]));
        for (std::int64_t j = 0; j < n; ++j) g[i * n + j] -= factor * v.data<T>()[j];
      }
    });
    return {grad};
  };
  auto jvp = [y, u, v, inverse](const Tangents<1>& dw) {
    Tensor dy = times(dw[0], inverse);
    add_in_place(dy, y, -dot(u, product(false, dw[0], v)) * inverse);
    return dy;
  };
  return record(spectral_normalize_op, y, {w_var}, {y, u, v}, vjp, jvp);
}

}  // namespace isotape
