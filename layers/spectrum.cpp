#include <isotape/layers/spectrum.hpp>

#include <algorithm>
#include <cmath>
#include <complex>
#include <functional>
#include <limits>
#include <numbers>
#include <string_view>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

// Note [Norm of a convolution at every image size]
//
// On the infinite lattice the convolution T is multiplication by the trigonometric polynomial
// K(theta) = sum_a K_a exp(i a . theta), so |T|^2 = sup |G(theta)|, G = K^H K = sum_d G_d
// exp(i d . theta) with the Gram kernel G_d = sum_a K_a^T K_{a+d}; likewise for K K^H.
//   - Zero padding of any width: x continued by zeros, T, and a choice of outputs: norm <= |T|.
//   - Circular padding on an m x n image: the DFT turns the operator into K at the frequencies
//     (2 pi u / m, 2 pi v / n), exactly, also where taps wrap around a small image: norm <= |T|,
//     and singular values between the extreme ones of K(theta).
//   - A stride s chooses outputs. On the unshuffled lattice (s^2 I channels) it is a convolution at
//     stride 1 with the taps regrouped, to which all this applies.
//   - Dilation r replaces theta by r theta.
// G(theta) is Hermitian, and so is D(theta) = G(theta) - I. With S_d for D_d or G_d,
//     |S(theta)|_2 <= max_i sum_j |S(theta)[i,j]| <= max_i sum_jd |S_d[i,j]|,
//     |S(theta)|_2 <= sum_d |S_d|_2,
// and |G(theta)|_2 <= 1 + |D(theta)|_2, lambda_min G(theta) >= 1 - |D(theta)|_2.
//
// Note [Rounding in the enclosure]
//
// With u = 2^-53, a computed entry of G_d, a sum of at most n products in any order, with or
// without fused operations, is off by at most gamma_n sum |K||K| <= gamma_n c_i c_j, c_i the norm
// of channel i over all taps (Cauchy-Schwarz), gamma_n = n u / (1 - n u) [Higham 2002]. Over a
// row and all d that is d_count gamma_n c_i sum_j c_j; over the spectral norms, d_count gamma_n
// |K|_F^2. Every later operation is a sum, product or root of non-negative numbers, or G - 1 with
// one rounding of the result: each costs a factor (1 + u), for which `inflated` allows generously.
// Underflow takes less than `underflow` from any sum, `small` from its root.

constexpr double unit_roundoff = std::numeric_limits<double>::epsilon() / 2;
constexpr double underflow = 1e-290;
constexpr double small = 1e-140;

double gamma(std::int64_t n) {
  const double nu = static_cast<double>(n + 8) * unit_roundoff;
  return nu / (1 - 2 * nu);
}

// Above the exact value of an expression of that many non-negative terms, computed as `value`.
double inflated(double value, std::int64_t terms) { return value * (1 + 2 * gamma(terms)); }

void check(std::string_view op, const Tensor& kernel, std::int64_t stride, std::int64_t groups) {
  require<ShapeError>(kernel.rank() == 4 && kernel.size() > 0, op,
                      ": expected a kernel of shape [O, h, w, I], got ", kernel.shape());
  require<ValueError>(stride >= 1 && groups >= 1, op, ": expected stride, groups >= 1, got ",
                      stride, " and ", groups);
  require<ShapeError>(kernel.dim(0) % groups == 0, op, ": expected groups that divide ",
                      kernel.dim(0), " outputs, got ", groups);
  require<NumericError>(all_finite(kernel), op, ": expected finite entries, got a kernel of shape ",
                        kernel.shape(), " with NaN or infinity");
}

// The kernel at stride 1 on the unshuffled image: tap s a' + phase becomes tap a' of channel
// i s^2 + phase.
Tensor unshuffled(const Tensor& kernel, std::int64_t s) {
  if (s == 1) return kernel;
  const Shape& k = kernel.shape();
  Tensor result =
      Tensor::zeros({k[0], (k[1] + s - 1) / s, (k[2] + s - 1) / s, k[3] * s * s}, DType::f64);
  const auto* from = kernel.data<double>();
  auto* to = result.write<double>();
  for (std::int64_t o = 0; o < k[0]; ++o) {
    for (std::int64_t r = 0; r < k[1]; ++r) {
      for (std::int64_t c = 0; c < k[2]; ++c) {
        const std::int64_t phase = r % s * s + c % s;
        const std::int64_t tap = (o * result.dim(1) + r / s) * result.dim(2) + c / s;
        for (std::int64_t i = 0; i < k[3]; ++i) {
          to[(tap * k[3] + i) * s * s + phase] = from[((o * k[1] + r) * k[2] + c) * k[3] + i];
        }
      }
    }
  }
  return result;
}

// The kernels [O / groups, h, w, I] at stride 1, in f64.
std::vector<Tensor> plain_kernels(const Tensor& kernel, std::int64_t stride, std::int64_t groups) {
  std::vector<Tensor> kernels;
  const Tensor all = unshuffled(kernel.to(DType::f64), stride);
  const std::int64_t outputs = all.dim(0) / groups;
  for (std::int64_t g = 0; g < groups; ++g) {
    kernels.push_back(all.rows(g * outputs, (g + 1) * outputs));
  }
  return kernels;
}

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

// K(theta), interleaved real and imaginary parts [O, I, 2].
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

// G_d [c, c] for the offset d = (dr, dc), dr >= 0, on the smaller channel side.
void gram_tap(const Tensor& kernel, std::int64_t dr, std::int64_t dc, Tensor& gram) {
  const Shape& k = kernel.shape();
  const bool of_inputs = k[3] <= k[0];
  const std::int64_t side = gram.dim(0);
  const std::int64_t row = k[1] * k[2] * k[3];
  const auto* taps = kernel.data<double>();
  auto* to = gram.write<double>();
  double beta = 0;
  for (std::int64_t r = 0; r + dr < k[1]; ++r) {
    for (std::int64_t c = std::max<std::int64_t>(0, -dc); c < std::min(k[2], k[2] - dc); ++c) {
      const double* a = taps + (r * k[2] + c) * k[3];
      const double* b = taps + ((r + dr) * k[2] + c + dc) * k[3];
      blas::gemm<double>(of_inputs, !of_inputs, side, side, of_inputs ? k[0] : k[3], 1, a, row, b,
                         row, beta, to, side);
      beta = 1;
    }
  }
}

// Row sums over channels and offsets, and sums of spectral norms, of one family S_d.
struct OffsetSums {
  std::vector<double> rows;
  double spectral = 0;

  void add(const Tensor& tap, bool twice) {
    const auto n = static_cast<std::int64_t>(rows.size());
    const auto* s = tap.data<double>();
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        rows[i] += std::abs(s[i * n + j]);
        if (twice) rows[j] += std::abs(s[i * n + j]);  // S_{-d} is the transpose
      }
    }
    spectral += (twice ? 2 : 1) * inflated(frobenius_norm(tap), n * n);
  }

  // Least proved bound of |S(theta)|; the errors are those of Note [Rounding in the enclosure].
  double bound(std::int64_t offsets, const std::vector<double>& channel_norms, double error) const {
    const auto n = static_cast<std::int64_t>(rows.size());
    double norms = 0;
    double squares = 0;
    for (const double c : channel_norms) {
      norms += c;
      squares += c * c;
    }
    double by_rows = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const double row = rows[i] + error * channel_norms[i] * norms;
      if (!(row <= by_rows)) by_rows = row;  // a NaN, of an overflow, is kept
    }
    return inflated(std::min(by_rows, spectral + error * squares), offsets * n) + underflow;
  }
};

// Norms of the channels of the smaller side over all taps, rounded up.
std::vector<double> channel_norms(const Tensor& kernel, bool of_inputs) {
  const std::int64_t inputs = kernel.dim(3);
  std::vector<double> norms(static_cast<std::size_t>(of_inputs ? inputs : kernel.dim(0)));
  const std::int64_t row = kernel.size() / kernel.dim(0);
  const auto* taps = kernel.data<double>();
  for (std::int64_t e = 0; e < kernel.size(); ++e) {
    norms[of_inputs ? e % inputs : e / row] += taps[e] * taps[e];
  }
  for (double& norm : norms) norm = inflated(std::sqrt(norm), kernel.size()) + small;
  return norms;
}

Enclosure enclosure_of(const Tensor& kernel) {
  const Shape& k = kernel.shape();
  const bool of_inputs = k[3] <= k[0];
  const std::int64_t side = std::min(k[0], k[3]);
  const std::int64_t offsets = (2 * k[1] - 1) * (2 * k[2] - 1);
  const double error =
      static_cast<double>(offsets) * gamma(k[1] * k[2] * (of_inputs ? k[0] : k[3]));
  OffsetSums gram{std::vector<double>(static_cast<std::size_t>(side))};
  OffsetSums residual = gram;
  Tensor tap({side, side}, DType::f64);
  for (std::int64_t dr = 0; dr < k[1]; ++dr) {
    for (std::int64_t dc = dr == 0 ? 0 : 1 - k[2]; dc < k[2]; ++dc) {
      const bool centre = dr == 0 && dc == 0;
      gram_tap(kernel, dr, dc, tap);
      gram.add(tap, !centre);
      if (centre) {
        auto* diagonal = tap.write<double>();
        for (std::int64_t i = 0; i < side; ++i) diagonal[i * (side + 1)] -= 1;
      }
      residual.add(tap, !centre);
    }
  }
  const std::vector<double> norms = channel_norms(kernel, of_inputs);
  const double defect = residual.bound(offsets, norms, error);
  const double squared = std::min(1 + defect, gram.bound(offsets, norms, error));
  require<NumericError>(std::isfinite(squared),
                        "kernel_enclosure: expected a kernel with a finite Gram kernel, got a "
                        "largest entry of ",
                        max_abs(kernel));
  return {defect < 1 ? std::sqrt(1 - defect) * (1 - gamma(4)) : 0, inflated(std::sqrt(squared), 4)};
}

}  // namespace

std::vector<double> kernel_singular_values(const Tensor& kernel, std::int64_t height,
                                           std::int64_t width, std::int64_t stride,
                                           std::int64_t groups) {
  check("kernel_singular_values", kernel, stride, groups);
  require<ValueError>(height >= 1 && width >= 1,
                      "kernel_singular_values: expected an image of at least 1 x 1, got ", height,
                      " x ", width);
  require<ShapeError>(height % stride == 0 && width % stride == 0,
                      "kernel_singular_values: expected image extents divisible by the stride ",
                      stride, ", got ", height, " x ", width);

  const std::int64_t m = height / stride;
  const std::int64_t n = width / stride;
  const std::vector<Tensor> kernels = plain_kernels(kernel, stride, groups);
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

Enclosure kernel_enclosure(const Tensor& kernel, std::int64_t stride, std::int64_t groups) {
  check("kernel_enclosure", kernel, stride, groups);
  Enclosure all{std::numeric_limits<double>::infinity(), 0};
  for (const Tensor& one : plain_kernels(kernel, stride, groups)) {
    const Enclosure e = enclosure_of(one);
    all = {std::min(all.lower, e.lower), std::max(all.upper, e.upper)};
  }
  return all;
}

double conv_norm_bound(const Tensor& kernel, std::int64_t stride, std::int64_t groups) {
  return kernel_enclosure(kernel, stride, groups).upper;
}

}  // namespace isotape
