#include <isotape/layers/symbol.hpp>

#include <cmath>
#include <complex>
#include <numbers>

#include <isotape/ops/roundoff.hpp>
#include <isotape/ops/spectral_bound.hpp>

namespace isotape {
namespace {

// exp(i a . theta) for the taps a of an h x w kernel at a frequency of an m x n image. The products
// are reduced as integers, so that wrapped taps meet the same angle exactly.
std::vector<std::complex<double>> phases(const Frequency& f, std::int64_t h, std::int64_t w,
                                         std::int64_t m, std::int64_t n) {
  std::vector<std::complex<double>> result;
  for (std::int64_t r = 0; r < h; ++r) {
    for (std::int64_t c = 0; c < w; ++c) {
      const double turns = static_cast<double>(f.u * r % m) / static_cast<double>(m) +
                           static_cast<double>(f.v * c % n) / static_cast<double>(n);
      result.push_back(std::polar(1.0, 2 * std::numbers::pi * turns));
    }
  }
  return result;
}

}  // namespace

// One of each conjugate pair (u, v), (-u, -v).
std::vector<Frequency> half_spectrum(std::int64_t m, std::int64_t n) {
  std::vector<Frequency> half;
  for (std::int64_t u = 0; u < m; ++u) {
    for (std::int64_t v = 0; v < n; ++v) {
      const std::int64_t here = u * n + v;
      const std::int64_t mirror = (m - u) % m * n + (n - v) % n;
      if (here <= mirror) half.push_back({u, v, here == mirror ? 1 : 2});
    }
  }
  return half;
}

Tensor symbol_at(const Tensor& kernel, const Frequency& f, std::int64_t m, std::int64_t n) {
  const std::vector<std::complex<double>> phase = phases(f, kernel.dim(1), kernel.dim(2), m, n);
  const std::int64_t inputs = kernel.dim(3);
  Tensor result = Tensor::zeros({kernel.dim(0), inputs, 2}, DType::f64);
  const auto* tap = kernel.data<double>();
  auto* row = result.write<double>();
  for (std::int64_t o = 0; o < kernel.dim(0); ++o, row += 2 * inputs) {
    for (const std::complex<double>& factor : phase) {
      for (std::int64_t i = 0; i < inputs; ++i) {
        row[2 * i] += factor.real() * tap[i];
        row[2 * i + 1] += factor.imag() * tap[i];
      }
      tap += inputs;
    }
  }
  return result;
}

// A phase is off by less than 2^-46: the turns, below 2, by 4 u, the angle by 2 pi times that and
// two roundings of a number below 4 pi, together below 64 u = 2^-47, and sine and cosine by less
// than 4 u (the GNU C library documents one place). An entry, a sum of h w products, is off by
// (gamma(h w + 1) + 2^-46) sum_a |K_a| in either part, as |cos|, |sin| <= 1; the Frobenius norm of
// sum_a |K_a| is at most sqrt(h w) |K|_F.
double symbol_rounding(const Tensor& kernel) {
  const std::int64_t taps = kernel.dim(1) * kernel.dim(2);
  const double entries =
      std::sqrt(static_cast<double>(taps)) *
      frobenius_bound(kernel.reshaped({kernel.dim(0), kernel.size() / kernel.dim(0)}));
  const double both_parts = std::sqrt(2.0);
  // A few roundings and the factor 1 + 2^-46 of phases not below 1, generously.
  return 1.001 * both_parts * (roundoff::gamma(taps + 1) + 0x1p-46) * entries;
}

}  // namespace isotape
