#pragma once

#include <cstdint>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/core/tensor.hpp>

namespace isotape::reference {

// Block convolution of projectors by plain loops, for the tests of bcop_kernel.

using Matrix = std::vector<std::vector<double>>;

inline Matrix zeros(std::int64_t m, std::int64_t n) {
  return {static_cast<std::size_t>(m), std::vector<double>(static_cast<std::size_t>(n))};
}

inline Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c = zeros(static_cast<std::int64_t>(a.size()), static_cast<std::int64_t>(b[0].size()));
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t k = 0; k < b.size(); ++k) {
      for (std::size_t j = 0; j < b[0].size(); ++j) c[i][j] += a[i][k] * b[k][j];
    }
  }
  return c;
}

inline Matrix transposed(const Matrix& a) {
  Matrix t(a[0].size(), std::vector<double>(a.size()));
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = 0; j < a[0].size(); ++j) t[j][i] = a[i][j];
  }
  return t;
}

inline void add_to(Matrix& y, const Matrix& x) {
  for (std::size_t i = 0; i < y.size(); ++i) {
    for (std::size_t j = 0; j < y[0].size(); ++j) y[i][j] += x[i][j];
  }
}

// I - a
inline Matrix complement(const Matrix& a) {
  Matrix c = a;
  for (std::size_t i = 0; i < c.size(); ++i) {
    for (std::size_t j = 0; j < c.size(); ++j) c[i][j] = (i == j ? 1.0 : 0.0) - a[i][j];
  }
  return c;
}

// The first rows and columns of one matrix of a stack.
inline Matrix matrix_of(const Tensor& stack, std::int64_t index, std::int64_t rows,
                        std::int64_t columns) {
  Matrix a = zeros(rows, columns);
  const std::int64_t c = stack.dim(2);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) a[i][j] = stack.at((index * c + i) * c + j);
  }
  return a;
}

inline Matrix projector_of(const Tensor& stack, std::int64_t index) {
  const std::int64_t c = stack.dim(2);
  const Matrix r = matrix_of(stack, index, c, c / 2);
  return c / 2 == 0 ? zeros(c, c) : product(r, transposed(r));
}

// A k x k grid of matrices, row by row.
struct Grid {
  std::int64_t k = 0;
  std::vector<Matrix> taps;
  const Matrix& at(std::int64_t i, std::int64_t j) const { return taps[i * k + j]; }
};

inline Grid block_of(const Matrix& p, const Matrix& q) {
  return {2,
          {product(p, q), product(p, complement(q)), product(complement(p), q),
           product(complement(p), complement(q))}};
}

inline Grid block_convolve(const Grid& x, const Grid& y) {
  Grid z{x.k + y.k - 1, {}};
  const auto c = static_cast<std::int64_t>(x.taps[0].size());
  z.taps.assign(static_cast<std::size_t>(z.k * z.k), zeros(c, c));
  for (std::int64_t a = 0; a < x.k; ++a) {
    for (std::int64_t b = 0; b < x.k; ++b) {
      for (std::int64_t i = 0; i < y.k; ++i) {
        for (std::int64_t j = 0; j < y.k; ++j) {
          add_to(z.taps[(a + i) * z.k + b + j], product(x.at(a, b), y.at(i, j)));
        }
      }
    }
  }
  return z;
}

inline Grid fold_blocks(const Tensor& stack) {
  const std::int64_t c = stack.dim(2);
  Grid b{1, {complement(zeros(c, c))}};
  for (std::int64_t t = 1; t + 1 < stack.dim(0); t += 2) {
    b = block_convolve(b, block_of(projector_of(stack, t), projector_of(stack, t + 1)));
  }
  return b;
}

inline Tensor tap_of(const Tensor& kernel, std::int64_t row, std::int64_t column) {
  Tensor tap({kernel.dim(0), kernel.dim(3)}, DType::f64);
  for (std::int64_t o = 0; o < kernel.dim(0); ++o) {
    for (std::int64_t i = 0; i < kernel.dim(3); ++i) {
      tap.write<double>()[o * kernel.dim(3) + i] =
          kernel.at(((o * kernel.dim(1) + row) * kernel.dim(2) + column) * kernel.dim(3) + i);
    }
  }
  return tap;
}

inline Tensor draw(std::int64_t k, std::int64_t c, std::uint64_t seed, DType dtype = DType::f64) {
  Rng rng(seed);
  return random_orthogonal(rng, {2 * k - 1, c, c}, 1, DType::f64).to(dtype);
}

struct Channels {
  std::int64_t in;
  std::int64_t out;
};
inline const std::vector<Channels> channel_pairs = {{4, 4}, {3, 3}, {2, 5}, {5, 2}, {1, 4},
                                                    {4, 1}, {3, 6}, {6, 3}, {1, 1}};

}  // namespace isotape::reference
