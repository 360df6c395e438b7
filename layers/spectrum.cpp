#include <isotape/layers/spectrum.hpp>

#include <algorithm>
#include <functional>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/layers/polyphase.hpp>
#include <isotape/layers/symbol.hpp>

namespace isotape {
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
    Tensor matrix = symbol_at(one, half[job % jobs], m, n);
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
