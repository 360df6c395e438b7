#include <isotape/layers/spectrum.hpp>

#include <algorithm>
#include <complex>
#include <functional>
#include <numbers>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/layers/polyphase.hpp>

namespace isotape {
namespace {

struct Frequency {
  std::int64_t u;
  std::int64_t v;
  int count;  // 2 if it stands for its conjugate, too
};

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

// K(theta) = sum_a K_a exp(i a . theta), interleaved real and imaginary parts [O, I, 2].
Tensor symbol(const Tensor& kernel, const std::vector<std::complex<double>>& phase) {
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

}  // namespace

std::vector<double> kernel_singular_values(const Tensor& kernel, std::int64_t height,
                                           std::int64_t width, std::int64_t stride,
                                           std::int64_t groups) {
  const std::vector<Tensor> kernels =
      polyphase_kernels("kernel_singular_values", kernel, stride, groups);
  require<ValueError>(height >= 1 && width >= 1,
                      "kernel_singular_values: expected an image of at least 1 x 1, got ", height,
                      " x ", width);
  require<ShapeError>(height % stride == 0 && width % stride == 0,
                      "kernel_singular_values: expected image extents divisible by the stride ",
                      stride, ", got ", height, " x ", width);

  const std::int64_t m = height / stride;
  const std::int64_t n = width / stride;
  const std::vector<Frequency> half = half_spectrum(m, n);
  const std::int64_t rank = std::min(kernels[0].dim(0), kernels[0].dim(3));
  const auto jobs = static_cast<std::int64_t>(half.size());
  Tensor found({groups * jobs, rank}, DType::f64);
  auto* to = found.write<double>();
  parallel_jobs(groups * jobs, [&](std::int64_t job) {
    const Tensor& one = kernels[job / jobs];
    Tensor matrix = symbol(one, phases(half[job % jobs], one.dim(1), one.dim(2), m, n));
    blas::singular_values_complex(one.dim(0), one.dim(3), matrix.write<double>(), to + job * rank);
  });

  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(groups * m * n * rank));
  for (std::int64_t job = 0; job < groups * jobs; ++job) {
    for (int copy = 0; copy < half[job % jobs].count; ++copy) {
      values.insert(values.end(), to + job * rank, to + (job + 1) * rank);
    }
  }
  std::sort(values.begin(), values.end(), std::greater<>());
  return values;
}

}  // namespace isotape
