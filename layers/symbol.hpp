#pragma once

#include <cstdint>
#include <vector>

#include <isotape/core/tensor.hpp>

namespace isotape {

// The symbol K(theta) = sum_a K_a exp(i a . theta) of a kernel [O, h, w, I], f64: the matrix by
// which its convolution on the infinite lattice multiplies the frequency theta.

/// The frequency 2 pi (u / m, v / n) of a grid of m x n.
struct Frequency {
  std::int64_t u;
  std::int64_t v;
  int count;  ///< 2 if it stands for its conjugate, too
};

/// One of each conjugate pair (u, v), (-u, -v) of the grid.
std::vector<Frequency> half_spectrum(std::int64_t m, std::int64_t n);

/// K(theta) at one frequency of the grid, interleaved real and imaginary parts [O, I, 2].
Tensor symbol_at(const Tensor& kernel, const Frequency& f, std::int64_t m, std::int64_t n);

/// A bound of |symbol_at() - K(theta)|_2 at every frequency of every grid, its rounding.
double symbol_rounding(const Tensor& kernel);

}  // namespace isotape
