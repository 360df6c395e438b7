#include <isotape/layers/frequency_bound.hpp>

#include <algorithm>
#include <cmath>
#include <functional>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/layers/bound.hpp>
#include <isotape/ops/spectral_bound.hpp>

namespace isotape {
namespace {

// -v in the row of frequency f.
std::int64_t mirror_of(std::int64_t f, std::int64_t width) {
  return f / width * width + (width - f % width) % width;
}

// >= |Q_f - conj Q_g|_F. Differences of doubles round by u at most relative to themselves.
double asymmetry(const Tensor& symbol, std::int64_t f, std::int64_t g) {
  const std::int64_t size = 2 * symbol.dim(1) * symbol.dim(2);
  Tensor difference({1, size}, DType::f64);
  auto* const d = difference.write<double>();
  dispatch_float(symbol.dtype(), "asymmetry", [&]<class T>() {
    const T* here = symbol.data<T>() + f * size;
    const T* there = symbol.data<T>() + g * size;
    for (std::int64_t i = 0; i < size; ++i) {
      const double other = i % 2 == 0 ? there[i] : -there[i];
      d[i] = static_cast<double>(here[i]) - other;
    }
  });
  return frobenius_bound(difference) * (1 + 0x1p-50);
}

// The largest of a bound over all frequencies; NaN stays NaN.
double largest(const Tensor& symbol, double (*bound)(const Tensor&)) {
  std::vector<double> values(static_cast<std::size_t>(symbol.dim(0)));
  parallel_jobs(symbol.dim(0), [&](std::int64_t f) {
    values[static_cast<std::size_t>(f)] = bound(real_form(symbol, f));
  });
  double most = 0;
  for (const double value : values) {
    if (!(value <= most)) most = value;
    if (std::isnan(most)) return most;
  }
  return most;
}

}  // namespace

Tensor real_form(const Tensor& symbol, std::int64_t f) {
  const std::int64_t rows = symbol.dim(1);
  const std::int64_t columns = symbol.dim(2);
  Tensor real({2 * rows, 2 * columns}, symbol.dtype());
  dispatch_float(symbol.dtype(), "real_form", [&]<class T>() {
    const T* from = symbol.data<T>() + 2 * f * rows * columns;
    T* to = real.write<T>();
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j) {
        const T* entry = from + 2 * (i * columns + j);
        T* above = to + i * 2 * columns + j;
        T* below = above + rows * 2 * columns;
        above[0] = below[columns] = entry[0];
        below[0] = entry[1];
        above[columns] = -entry[1];
      }
    }
  });
  return real;
}

double frequency_norm_bound(const Tensor& symbol) {
  const double bound = largest(symbol, spectral_norm_bound);
  require<NumericError>(!std::isnan(bound),
                        "frequency_norm_bound: expected matrices of numbers, found NaN");
  return bound;
}

// sigma_min((Q(v) + conj Q(-v)) / 2) >= sigma_min(Q(v)) - |Q(v) - conj Q(-v)|_F / 2 [Weyl].
Enclosure frequency_enclosure(const Tensor& symbol, std::int64_t height, std::int64_t width) {
  std::vector<Enclosure> each(static_cast<std::size_t>(symbol.dim(0)));
  parallel_jobs(symbol.dim(0), [&](std::int64_t f) {
    Enclosure e = singular_value_enclosure(real_form(symbol, f));
    if (2 * (f / width) % height == 0) {
      e.lower = lower_difference(e.lower, asymmetry(symbol, f, mirror_of(f, width)) / 2);
    }
    each[static_cast<std::size_t>(f)] = std::move(e);
  });
  Enclosure all = each.front();
  for (const Enclosure& e : each) {
    all.lower = std::min(all.lower, e.lower);
    if (!(e.upper <= all.upper)) all.upper = e.upper;
    if (std::isnan(all.upper)) break;
  }
  require<NumericError>(!std::isnan(all.upper),
                        "frequency_enclosure: expected matrices of numbers, found NaN");
  return all;
}

double frequency_defect_bound(const Tensor& symbol) {
  return largest(symbol, isometry_defect_bound);
}

// At u = 0 and u = H/2 the spectrum holds both v and -v, of which U^T takes the mean with the
// conjugate: (Q(v) + conj Q(-v)) / 2 acts there, a real matrix where -v is v. A matrix that stands
// for two frequencies of the whole spectrum has its singular values twice.
std::vector<double> frequency_singular_values(const Tensor& symbol, std::int64_t height,
                                              std::int64_t width) {
  const Tensor wide = symbol.to(DType::f64);
  const std::int64_t rows = wide.dim(1);
  const std::int64_t columns = wide.dim(2);
  const std::int64_t size = 2 * rows * columns;
  std::vector<double> sigma;
  for (std::int64_t f = 0; f < wide.dim(0); ++f) {
    const std::int64_t u = f / width;
    const std::int64_t v = f % width;
    const std::int64_t mirror = 2 * u % height == 0 ? u * width + (width - v) % width : -1;
    if (mirror >= 0 && mirror < f) continue;
    Tensor matrix({rows, columns, 2}, DType::f64);
    auto* entries = matrix.write<double>();
    const double* here = wide.data<double>() + f * size;
    std::copy_n(here, size, entries);
    if (mirror >= 0) {
      const double* other = wide.data<double>() + mirror * size;
      for (std::int64_t i = 0; i < size; ++i) {
        entries[i] = (here[i] + (i % 2 == 0 ? other[i] : -other[i])) / 2;
      }
    }
    std::vector<double> values(static_cast<std::size_t>(std::min(rows, columns)));
    blas::singular_values_complex(rows, columns, entries, values.data());
    const int times = mirror == f ? 1 : 2;
    for (int i = 0; i < times; ++i) sigma.insert(sigma.end(), values.begin(), values.end());
  }
  std::sort(sigma.begin(), sigma.end(), std::greater<>());
  return sigma;
}

}  // namespace isotape
