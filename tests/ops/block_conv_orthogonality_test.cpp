#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include <isotape/core/lipcheck.hpp>
#include <isotape/ops/bjorck.hpp>
#include <isotape/ops/block_conv.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reduce.hpp>
#include "block_matrix.hpp"

using namespace isotape;
using namespace isotape::reference;

TEST_SUITE_BEGIN("ops/block_conv_orthogonality");

namespace {

// max |sum_a W[a] W[a+d]^T - delta_d I| over the offsets d, or of W[a]^T W[a+d].
double gram_defect(const Tensor& kernel, bool of_outputs) {
  const std::int64_t k = kernel.dim(1);
  const std::int64_t n = kernel.dim(of_outputs ? 0 : 3);
  const auto tap = [&](std::int64_t row, std::int64_t column) {
    Tensor stack = tap_of(kernel, row, column);
    Matrix w = zeros(stack.dim(0), stack.dim(1));
    for (std::int64_t i = 0; i < stack.size(); ++i)
      w[i / stack.dim(1)][i % stack.dim(1)] = stack.at(i);
    return of_outputs ? transposed(w) : w;
  };
  double defect = 0;
  for (std::int64_t dr = 1 - k; dr < k; ++dr) {
    for (std::int64_t dc = 1 - k; dc < k; ++dc) {
      Matrix gram = zeros(n, n);
      for (std::int64_t r = 0; r < k; ++r) {
        for (std::int64_t c = 0; c < k; ++c) {
          if (r + dr < 0 || r + dr >= k || c + dc < 0 || c + dc >= k) continue;
          add_to(gram, product(transposed(tap(r, c)), tap(r + dr, c + dc)));
        }
      }
      if (dr == 0 && dc == 0) gram = complement(gram);
      for (const auto& row : gram) {
        for (const double entry : row) defect = std::max(defect, std::abs(entry));
      }
    }
  }
  return defect;
}

std::int64_t wrap(std::int64_t i, std::int64_t n) { return ((i % n) + n) % n; }

// y[t] = sum_a w[a] x[t + a mod n], on x [h, w, c_in]
Tensor correlate(const Tensor& x, const Tensor& kernel) {
  const std::int64_t h = x.dim(0);
  const std::int64_t w = x.dim(1);
  const std::int64_t c_in = kernel.dim(3);
  const std::int64_t c_out = kernel.dim(0);
  Tensor y = Tensor::zeros({h, w, c_out}, DType::f64);
  const auto* in = x.data<double>();
  const auto* taps = kernel.data<double>();
  auto* out = y.write<double>();
  for (std::int64_t o = 0; o < c_out; ++o) {
    for (std::int64_t a = 0; a < kernel.dim(1); ++a) {
      for (std::int64_t b = 0; b < kernel.dim(2); ++b) {
        const double* tap = taps + ((o * kernel.dim(1) + a) * kernel.dim(2) + b) * c_in;
        for (std::int64_t r = 0; r < h; ++r) {
          for (std::int64_t s = 0; s < w; ++s) {
            const double* pixel = in + (wrap(r + a, h) * w + wrap(s + b, w)) * c_in;
            for (std::int64_t i = 0; i < c_in; ++i)
              out[(r * w + s) * c_out + o] += tap[i] * pixel[i];
          }
        }
      }
    }
  }
  return y;
}

std::vector<double> circular_singular_values(const Tensor& kernel, std::int64_t h, std::int64_t w) {
  return singular_values(
      dense_operator([&](const Var& x) { return Var(correlate(x.value(), kernel)); },
                     {h, w, kernel.dim(3)}, DType::f64));
}

// A 2 x 2 kernel of a block: rows follow Q, columns P; each tap as it stands or transposed.
Tensor kernel_of_block(const Matrix& p, const Matrix& q, bool transpose) {
  const Grid block = block_of(p, q);
  const auto c = static_cast<std::int64_t>(p.size());
  Tensor kernel({c, 2, 2, c}, DType::f64);
  for (std::int64_t row = 0; row < 2; ++row) {
    for (std::int64_t column = 0; column < 2; ++column) {
      const Matrix tap = transpose ? transposed(block.at(column, row)) : block.at(column, row);
      for (std::int64_t o = 0; o < c; ++o) {
        for (std::int64_t i = 0; i < c; ++i) {
          kernel.write<double>()[((o * 2 + row) * 2 + column) * c + i] = tap[o][i];
        }
      }
    }
  }
  return kernel;
}

std::complex<double> determinant(std::vector<std::vector<std::complex<double>>> a) {
  std::complex<double> result = 1;
  for (std::size_t k = 0; k < a.size(); ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k; i < a.size(); ++i) {
      if (std::abs(a[i][k]) > std::abs(a[pivot][k])) pivot = i;
    }
    if (pivot != k) result = -result;
    std::swap(a[k], a[pivot]);
    result *= a[k][k];
    for (std::size_t i = k + 1; i < a.size(); ++i) {
      const std::complex<double> factor = a[i][k] / a[k][k];
      for (std::size_t j = k; j < a.size(); ++j) a[i][j] -= factor * a[k][j];
    }
  }
  return result;
}

// det of sum_a W[a] exp(-i a . theta)
std::complex<double> symbol_determinant(const Tensor& kernel, double row_angle,
                                        double column_angle) {
  const std::int64_t n = kernel.dim(0);
  std::vector<std::vector<std::complex<double>>> symbol(
      static_cast<std::size_t>(n), std::vector<std::complex<double>>(static_cast<std::size_t>(n)));
  for (std::int64_t o = 0; o < n; ++o) {
    for (std::int64_t r = 0; r < kernel.dim(1); ++r) {
      for (std::int64_t s = 0; s < kernel.dim(2); ++s) {
        const double angle =
            -(static_cast<double>(r) * row_angle + static_cast<double>(s) * column_angle);
        for (std::int64_t i = 0; i < n; ++i) {
          symbol[o][i] +=
              std::polar(kernel.at(((o * kernel.dim(1) + r) * kernel.dim(2) + s) * n + i), 0.0) *
              std::polar(1.0, angle);
        }
      }
    }
  }
  return determinant(symbol);
}

// How often that determinant, of modulus 1, turns around 0 along one axis of the torus.
double winding_number(const Tensor& kernel, bool rows) {
  constexpr int samples = 200;
  double phase = 0;
  std::complex<double> before = symbol_determinant(kernel, rows ? 0 : 0.7, rows ? 0.7 : 0);
  for (int i = 1; i <= samples; ++i) {
    const double angle = 2 * std::numbers::pi * i / samples;
    const std::complex<double> here =
        symbol_determinant(kernel, rows ? angle : 0.7, rows ? 0.7 : angle);
    CHECK(std::abs(here) == doctest::Approx(1).epsilon(1e-12));
    phase += std::arg(here / before);
    before = here;
  }
  return -phase / (2 * std::numbers::pi);
}

}  // namespace

TEST_CASE("bcop_kernel: its Gram kernel is a unit impulse on the smaller side, and only there") {
  for (const Channels& channels : channel_pairs) {
    const std::int64_t c_in = channels.in;
    const std::int64_t c_out = channels.out;
    for (std::int64_t k = 1; k <= 5; ++k) {
      CAPTURE(c_in);
      CAPTURE(c_out);
      CAPTURE(k);
      const Tensor kernel =
          bcop_kernel(draw(k, std::max(c_in, c_out), 13 + k), c_in, c_out).value();
      CHECK(gram_defect(kernel, c_out <= c_in) < 1e-13);
      const double other = gram_defect(kernel, c_out > c_in);
      if (c_in == c_out) {
        CHECK(other < 1e-13);
      } else {
        CHECK(other > 0.1);
      }
    }
  }
  const Tensor single = bcop_kernel(draw(3, 8, 1, DType::f32), 8, 6).value().to(DType::f64);
  CHECK(gram_defect(single, true) < 2e-6);
}

TEST_CASE("bcop_kernel: equals the 2 x 2 convolutions applied one after the other") {
  for (const Channels& channels : channel_pairs) {
    const std::int64_t c_in = channels.in;
    const std::int64_t c_out = channels.out;
    for (std::int64_t k = 2; k <= 4; ++k) {
      const Tensor orthogonal = draw(k, std::max(c_in, c_out), 19);
      Rng rng(5);
      const Tensor x = random_normal(rng, {5, 7, c_in}, 1, DType::f64);
      const Tensor lift = bcop_kernel(orthogonal.rows(0, 1), c_in, c_out).value();
      const bool widens = c_in <= c_out;
      Tensor y = widens ? correlate(x, lift) : x;
      for (std::int64_t step = 1; step < k; ++step) {
        const std::int64_t t = widens ? step : k - step;
        y = correlate(y, kernel_of_block(projector_of(orthogonal, 2 * t - 1),
                                         projector_of(orthogonal, 2 * t), widens));
      }
      if (!widens) y = correlate(y, lift);
      CHECK(max_abs_diff(correlate(x, bcop_kernel(orthogonal, c_in, c_out).value()), y) < 1e-13);
    }
  }
}

TEST_CASE("bcop_kernel: an isometry of the smaller side on images of any size") {
  for (const Shape& image : {Shape{6, 6}, {5, 4}, {2, 2}, {1, 1}, {1, 3}}) {
    CAPTURE(image);
    for (const Channels& channels : {Channels{2, 3}, {3, 2}, {3, 3}}) {
      const std::int64_t c_in = channels.in;
      const std::int64_t c_out = channels.out;
      const Tensor kernel = bcop_kernel(draw(3, 3, 23), c_in, c_out).value();
      const std::vector<double> sigma = circular_singular_values(kernel, image[0], image[1]);
      CHECK(std::abs(sigma.front() - 1) < 1e-12);
      CHECK(std::abs(sigma[static_cast<std::size_t>(image.size() * std::min(c_in, c_out)) - 1] -
                     1) < 1e-12);
    }
  }
}

TEST_CASE("bcop_kernel: the determinant of its symbol winds (k-1) ceil(c/2) times on each axis") {
  for (const std::int64_t c : {1, 3, 4}) {
    for (std::int64_t k = 1; k <= 4; ++k) {
      const Tensor kernel = bcop_kernel(draw(k, c, 29), c, c).value();
      const std::int64_t complement_rank = (c + 1) / 2;
      for (const bool rows : {false, true}) {
        CHECK(std::abs(winding_number(kernel, rows) -
                       static_cast<double>((k - 1) * complement_rank)) < 1e-9);
      }
    }
  }
}

// Training cannot leave the connected component that it starts in [Li 2019, theorem 1].
TEST_CASE("bcop_kernel: descent towards another component keeps the winding numbers") {
  constexpr std::int64_t c = 4;
  constexpr std::int64_t k = 3;
  Rng rng(41);
  Tensor raw = random_normal(rng, {2 * k - 1, c, c}, 1, DType::f64);
  Tensor target = Tensor::zeros({c, k, k, c}, DType::f64);  // the identity, which winds 0 times
  for (std::int64_t i = 0; i < c; ++i) target.write<double>()[i * k * k * c + i] = 1;
  std::vector<double> losses;
  for (int step = 0; step < 60; ++step) {
    Tape tape;
    const Var leaf = tape.leaf(raw);
    const Var kernel = bcop_kernel(bjorck(leaf), c, c);
    const Var loss = sum(square(kernel - Var(target)));
    losses.push_back(loss.value().item());
    for (const bool rows : {false, true}) {
      CHECK(std::abs(winding_number(kernel.value(), rows) - 4) < 1e-9);
    }
    tape.backward(loss);
    add_in_place(raw, leaf.grad(), -0.1);
  }
  CHECK(losses.back() < 0.8 * losses.front());
}

TEST_CASE("bcop_kernel: twice the channels hold any ranks [Li 2019, theorem 2]") {
  // P' = diag(P, E) with rank(P) + rank(E) = n, H' = diag(H, I): the first n channels of the kernel
  // on 2n are the kernel of H and the P, whatever their ranks.
  constexpr std::int64_t n = 3;
  const Tensor small = draw(3, n, 31);
  const std::vector<std::int64_t> ranks = {0, 3, 1, 2};
  Tensor large = Tensor::zeros({5, 2 * n, 2 * n}, DType::f64);
  auto* to = large.write<double>();
  const auto entry = [&](std::int64_t t, std::int64_t i, std::int64_t j) -> double& {
    return to[(t * 2 * n + i) * 2 * n + j];
  };
  Grid expected{1, {matrix_of(small, 0, n, n)}};
  for (std::int64_t i = 0; i < n; ++i) {
    entry(0, n + i, n + i) = 1;
    for (std::int64_t j = 0; j < n; ++j) entry(0, i, j) = small.at(i * n + j);
  }
  std::vector<Matrix> projectors;
  for (std::int64_t t = 1; t <= 4; ++t) {
    const std::int64_t rank = ranks[t - 1];
    Matrix p = zeros(n, n);
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t i = 0; i < n; ++i) {
        if (j < rank) entry(t, i, j) = small.at((t * n + i) * n + j);
        for (std::int64_t l = 0; l < n && j < rank; ++l) {
          p[i][l] += small.at((t * n + i) * n + j) * small.at((t * n + l) * n + j);
        }
      }
      if (j >= rank) entry(t, n + j - rank, j) = 1;
    }
    projectors.push_back(p);
  }
  expected = block_convolve(expected, block_of(projectors[0], projectors[1]));
  expected = block_convolve(expected, block_of(projectors[2], projectors[3]));
  const Tensor kernel = bcop_kernel(large, 2 * n, 2 * n).value();
  for (std::int64_t row = 0; row < 3; ++row) {
    for (std::int64_t column = 0; column < 3; ++column) {
      const Tensor tap = tap_of(kernel, row, column);
      for (std::int64_t o = 0; o < n; ++o) {
        for (std::int64_t i = 0; i < n; ++i) {
          CHECK(std::abs(tap.at(o * 2 * n + i) - expected.at(column, row)[i][o]) < 1e-14);
          CHECK(tap.at(o * 2 * n + n + i) == 0);
          CHECK(tap.at((n + o) * 2 * n + i) == 0);
        }
      }
    }
  }
}

TEST_CASE("bcop_kernel: matrices with singular values below 1 give a contraction") {
  Rng rng(37);
  for (int trial = 0; trial < 4; ++trial) {
    Tensor contraction({5, 4, 4}, DType::f64);
    for (std::int64_t t = 0; t < 5; ++t) {
      const Tensor gaussian = random_normal(rng, {4, 4}, 1, DType::f64);
      const double norm = singular_values(gaussian).front();
      for (std::int64_t i = 0; i < 16; ++i) {
        contraction.write<double>()[t * 16 + i] = gaussian.at(i) / norm;
      }
    }
    CHECK(circular_singular_values(bcop_kernel(contraction, 4, 4).value(), 5, 6).front() <
          1 + 1e-12);
  }
}

TEST_SUITE_END();
