#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/layers/polyphase.hpp>
#include <isotape/layers/sampled_symbol.hpp>
#include <isotape/layers/spectrum.hpp>

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
// Bounds, with the real scale c = mean diagonal of G_0 or c = 0, and D = G - c delta I, Hermitian:
//   (a) |D(theta)|_2 <= max_i sum_j |D(theta)[i,j]| <= max_i sum_jd |D_d[i,j]|,
//   (b) |D(theta)|_2 <= sum_d |D_d|_2,
//       either of which gives c - |D(theta)|_2 <= eigenvalues of G(theta) <= c + |D(theta)|_2;
//   (c) K(theta) = L^H M R with M = K reshaped to [O h' , w' I] (the taps split between rows and
//       columns) and L, R stacks of h', w' identities times phases, of norms sqrt(h'), sqrt(w'):
//       |K(theta)|_2 <= sqrt(h w) |M|_2 [Singla 2021];
//   (d) from samples of K(theta) on a grid: see Note [Sampled symbol].
//
// Note [Rounding in the enclosure]
//
// With u = 2^-53, a computed entry of a Gram matrix, a sum of at most n products in any order, with
// or without fused operations, is off by at most gamma_n sum |K||K| <= gamma_n c_i c_j, c_i the
// norm of channel i over all taps (Cauchy-Schwarz), gamma_n = n u / (1 - n u) [Higham 2002]. Over a
// row and all d that is d_count gamma_n c_i sum_j c_j; over the spectral norms, d_count gamma_n
// |K|_F^2. Every later operation is a sum, product or root of non-negative numbers, or G - c with
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

double least(double a, double b) { return b < a || std::isnan(b) ? b : a; }

// Above |s|_2 for s [n, n]: the Frobenius norm f, or the root of that of s^T s, or .. of its
// powers: t squarings exceed |s|_2 by n^(1/2^(t+1)) at most. s is scaled by a power of two so that
// 1/2 <= f < 1, which is exact; then the product is off by gamma_n, underflow included.
double spectral_bound(const Tensor& s, int squarings) {
  const std::int64_t n = s.dim(0);
  const double frobenius = inflated(frobenius_norm(s), n * n) + small;
  if (squarings == 0 || !std::isfinite(frobenius)) return frobenius;
  const double scale = std::ldexp(1.0, -(std::ilogb(frobenius) + 1));
  Tensor scaled(s.shape(), DType::f64);
  Tensor product(s.shape(), DType::f64);
  auto* to = scaled.write<double>();
  for (std::int64_t i = 0; i < n * n; ++i) to[i] = s.data<double>()[i] * scale;
  blas::syrk<double>(true, n, n, 1, to, n, 0, product.write<double>(), n);
  const double squared = spectral_bound(product, squarings - 1) + gamma(n);
  return least(frobenius, inflated(std::sqrt(squared), 4) / scale);
}

// Mean of the diagonal.
double mean_diagonal(const Tensor& gram) {
  const std::int64_t n = gram.dim(0);
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += gram.data<double>()[i * (n + 1)];
  return sum / static_cast<double>(n);
}

void subtract_from_diagonal(Tensor& gram, double c) {
  auto* entries = gram.write<double>();
  for (std::int64_t i = 0; i < gram.dim(0); ++i) entries[i * (gram.dim(0) + 1)] -= c;
}

// Above |matrix|_2^2, with the Gram matrix of its smaller side as it stands and less its scale.
double squared_norm_bound(const Tensor& kernel, std::int64_t m, std::int64_t n) {
  constexpr int squarings = 6;
  const std::int64_t side = std::min(m, n);
  Tensor gram({side, side}, DType::f64);
  blas::syrk<double>(n < m, side, std::max(m, n), 1, kernel.data<double>(), n, 0,
                     gram.write<double>(), side);
  const double frobenius = inflated(frobenius_norm(kernel), m * n) + small;
  const double error = gamma(std::max(m, n)) * frobenius * frobenius;
  const double plain = spectral_bound(gram, squarings);
  const double c = mean_diagonal(gram);
  subtract_from_diagonal(gram, c);
  return inflated(least(plain, c + spectral_bound(gram, squarings)) + error, 8);
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

// Row sums over channels and offsets, and sums of spectral norms, of one family D_d.
struct OffsetSums {
  std::vector<double> rows;
  double spectral = 0;

  // Of D_d and, unless d = 0, its transpose D_{-d}.
  static OffsetSums of(const Tensor& tap, bool centre) {
    constexpr int squarings = 3;
    const std::int64_t n = tap.dim(0);
    const auto* entries = tap.data<double>();
    OffsetSums sums{std::vector<double>(static_cast<std::size_t>(n))};
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        sums.rows[i] += std::abs(entries[i * n + j]);
        if (!centre) sums.rows[j] += std::abs(entries[i * n + j]);
      }
    }
    sums.spectral = (centre ? 1 : 2) * spectral_bound(tap, squarings);
    return sums;
  }

  void operator+=(const OffsetSums& other) {
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] += other.rows[i];
    spectral += other.spectral;
  }

  // Least proved bound of |D(theta)|; the errors are those of Note [Rounding in the enclosure].
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
    return inflated(least(by_rows, spectral + error * squares), offsets * n) + underflow;
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

// Limits of the eigenvalues of G(theta).
Enclosure gram_enclosure(const Tensor& kernel) {
  const Shape& k = kernel.shape();
  const bool of_inputs = k[3] <= k[0];
  const std::int64_t side = std::min(k[0], k[3]);
  const std::int64_t offsets = (2 * k[1] - 1) * (2 * k[2] - 1);
  const double error =
      static_cast<double>(offsets) * gamma(k[1] * k[2] * (of_inputs ? k[0] : k[3]));
  // d = 0 and one of each pair d, -d.
  const std::int64_t half = offsets / 2 + 1;
  std::vector<OffsetSums> parts(static_cast<std::size_t>(half));
  Tensor centre({side, side}, DType::f64);
  parallel_jobs(half, [&](std::int64_t job) {
    const std::int64_t d = half - 1 + job;
    Tensor tap = job == 0 ? centre : Tensor({side, side}, DType::f64);
    gram_tap(kernel, d / (2 * k[2] - 1) - (k[1] - 1), d % (2 * k[2] - 1) - (k[2] - 1), tap);
    parts[job] = OffsetSums::of(tap, job == 0);
  });
  const double c = mean_diagonal(centre);
  subtract_from_diagonal(centre, c);
  OffsetSums gram = parts[0];
  OffsetSums residual = OffsetSums::of(centre, true);
  for (std::int64_t job = 1; job < half; ++job) {
    gram += parts[job];
    residual += parts[job];
  }

  const std::vector<double> norms = channel_norms(kernel, of_inputs);
  const double defect = residual.bound(offsets, norms, error);
  return {(c - defect) * (1 - gamma(1)),
          inflated(least(c + defect, gram.bound(offsets, norms, error)), 1)};
}

// h w |M|_2^2 of Note (c), the least of three.
double reshaped_bound(const Tensor& kernel) {
  const Shape& k = kernel.shape();
  const std::int64_t inner = k[2] * k[3];
  double norm = squared_norm_bound(kernel, k[0], k[1] * inner);
  norm = least(norm, squared_norm_bound(kernel, k[0] * k[1], inner));
  norm = least(norm, squared_norm_bound(kernel, k[0] * k[1] * k[2], k[3]));
  return inflated(static_cast<double>(k[1] * k[2]) * norm, 4);
}

// By (d), where a grid is affordable and nothing of a square underflows or overflows.
Enclosure by_samples(const Tensor& kernel) {
  constexpr double flops = 4e9;
  constexpr double tiny = 1e-100;
  const double largest = max_abs(kernel);
  const Samples samples = affordable_samples(kernel, flops);
  if (samples.m == 0 || largest < tiny || largest > 1 / tiny) {
    return {0, std::numeric_limits<double>::infinity()};
  }
  return sampled_enclosure(kernel, samples.m, samples.n);
}

Enclosure enclosure_of(const Tensor& kernel) {
  constexpr double nearly_tight = 1.001;
  const Enclosure gram = gram_enclosure(kernel);
  Enclosure square = gram;
  Enclosure sampled{0, std::numeric_limits<double>::infinity()};
  if (!(gram.upper <= nearly_tight * gram.lower)) {
    square.upper = least(square.upper, reshaped_bound(kernel));
    if (std::isfinite(square.upper)) sampled = by_samples(kernel);
  }
  require<NumericError>(std::isfinite(square.upper),
                        "kernel_enclosure: expected a kernel with a finite Gram kernel, got a "
                        "largest entry of ",
                        max_abs(kernel));
  const double lower = square.lower > 0 ? std::sqrt(square.lower) * (1 - gamma(1)) : 0;
  const double upper = inflated(std::sqrt(square.upper), 1);
  return {std::max(lower, sampled.lower), least(upper, sampled.upper)};
}

}  // namespace

Enclosure kernel_enclosure(const Tensor& kernel, std::int64_t stride, std::int64_t groups) {
  Enclosure all{std::numeric_limits<double>::infinity(), 0};
  for (const Tensor& one : polyphase_kernels("kernel_enclosure", kernel, stride, groups)) {
    const Enclosure e = enclosure_of(one);
    all = {std::min(all.lower, e.lower), std::max(all.upper, e.upper)};
  }
  return all;
}

Enclosure kernel_enclosure_at(const Tensor& kernel, std::int64_t height, std::int64_t width,
                              std::int64_t stride, std::int64_t groups) {
  const std::vector<Tensor> kernels =
      polyphase_kernels("kernel_enclosure_at", kernel, stride, groups);
  require<ShapeError>(height >= 1 && width >= 1 && height % stride == 0 && width % stride == 0,
                      "kernel_enclosure_at: expected image extents divisible by the stride ",
                      stride, ", got ", height, " x ", width);
  Enclosure all{std::numeric_limits<double>::infinity(), 0};
  for (const Tensor& one : kernels) {
    const Enclosure any = enclosure_of(one);
    const Enclosure here = grid_enclosure(one, height / stride, width / stride);
    all.lower = std::min(all.lower, std::max(any.lower, here.lower));
    all.upper = std::max(all.upper, least(any.upper, here.upper));
  }
  return all;
}

double conv_norm_bound(const Tensor& kernel, std::int64_t stride, std::int64_t groups) {
  return kernel_enclosure(kernel, stride, groups).upper;
}

}  // namespace isotape
