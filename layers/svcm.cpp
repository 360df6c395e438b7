#include <isotape/layers/svcm.hpp>

#include <algorithm>
#include <vector>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/kernel_symbol.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

// A complex matrix [m, n, 2], its singular values above 1 brought to 1. The real matrix
// [re, -im; im, re] has each of them twice and clips to the same form.
void clip(std::int64_t m, std::int64_t n, double* z) {
  const std::int64_t r = 2 * std::min(m, n);
  std::vector<double> real(static_cast<std::size_t>(4 * m * n));
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      const double re = z[2 * (i * n + j)];
      const double im = z[2 * (i * n + j) + 1];
      real[i * 2 * n + j] = re;
      real[i * 2 * n + n + j] = -im;
      real[(m + i) * 2 * n + j] = im;
      real[(m + i) * 2 * n + n + j] = re;
    }
  }
  std::vector<double> s(static_cast<std::size_t>(r));
  std::vector<double> u(static_cast<std::size_t>(2 * m * r));
  std::vector<double> vt(static_cast<std::size_t>(r * 2 * n));
  blas::svd(2 * m, 2 * n, real.data(), s.data(), u.data(), vt.data());
  if (s.front() <= 1) return;
  for (std::int64_t k = 0; k < r; ++k) {
    for (std::int64_t i = 0; i < 2 * m; ++i) u[i * r + k] *= std::min(s[k], 1.0);
  }
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double re = 0;
      double im = 0;
      for (std::int64_t k = 0; k < r; ++k) {
        re += u[i * r + k] * vt[k * 2 * n + j];
        im += u[(m + i) * r + k] * vt[k * 2 * n + j];
      }
      z[2 * (i * n + j)] = re;
      z[2 * (i * n + j) + 1] = im;
    }
  }
}

// One pair of projections. The transpose of kernel_symbol() sums frequencies back into the taps:
// divided by H W, and with those twice whose conjugates are not kept, it is the inverse transform,
// masked.
Tensor project(const Tensor& kernel, std::int64_t height, std::int64_t width) {
  Tape tape;
  const Var leaf = tape.leaf(kernel);
  const Var symbol = kernel_symbol(leaf, height, width);
  Tensor clipped = symbol.value().clone();
  const std::int64_t size = symbol.shape().inner(0);
  auto* const z = clipped.write<double>();
  parallel_jobs(symbol.dim(0), [&](std::int64_t f) {
    double* const matrix = z + f * size;
    clip(symbol.dim(1), symbol.dim(2), matrix);
    const std::int64_t row = f / width;
    const bool is_own_mirror = row == 0 || 2 * row == height;
    const double weight = (is_own_mirror ? 1.0 : 2.0) / static_cast<double>(height * width);
    std::for_each(matrix, matrix + size, [weight](double& entry) { entry *= weight; });
  });
  tape.backward(symbol, clipped);
  return leaf.grad();
}

}  // namespace

Tensor clip_singular_values(const Tensor& kernel, std::int64_t height, std::int64_t width,
                            std::int64_t groups, int projections) {
  require<ShapeError>(kernel.rank() == 4 && kernel.dim(1) <= height && kernel.dim(2) <= width,
                      "svcm: expected a kernel [O, h, w, I] no larger than the image ", height,
                      " x ", width, ", got ", kernel.shape());
  const std::int64_t outputs = kernel.dim(0) / groups;
  Vars clipped;
  for (std::int64_t g = 0; g < groups; ++g) {
    Tensor one = kernel.to(DType::f64).rows(g * outputs, (g + 1) * outputs);
    for (int i = 0; i < projections; ++i) one = project(one, height, width);
    clipped.emplace_back(one);
  }
  const Paused paused;
  return concat(clipped, 0).value().to(kernel.dtype());
}

constinit const LayerType svcm_type = {
    .type = "svcm",
    .kind = LayerKind::convolution,
    .property = LayerProperty::bounded,
    .options = "out, kernel, groups, bias, every, projections",
    .description =
        "convolution whose singular values are clipped on the image that it sees, every "
        "`every` steps (default 100) and at the end of an epoch; the bound is proved "
        "from the kernel itself; circular padding",
    .cost = "projections (default 50) times H W / 2 singular value decompositions, per schedule",
    .source = "Sedghi 2019; Li 2019",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      const std::int64_t c_in = input_channels(site);
      const std::int64_t out = output_extent(site);
      const int kernel = small_integer(site, "kernel", 3);
      require<ShapeError>(kernel <= site.input[0] && kernel <= site.input[1], site.place(),
                          ": expected a kernel no larger than the image, got ", kernel, " and ",
                          site.input);
      Conv2dLayerOptions options;
      options.groups = small_integer(site, "groups", 1);
      options.bias = site.options.boolean("bias", true);
      options.clip = ClipOptions{small_integer(site, "every", 100),
                                 small_integer(site, "projections", 50), site.input};
      return std::make_unique<Conv2d>(c_in, out, kernel, Unconstrained{}, site.rng, options);
    },
};

}  // namespace isotape
