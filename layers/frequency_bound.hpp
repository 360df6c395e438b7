#pragma once

#include <cstdint>
#include <vector>

#include <isotape/core/tensor.hpp>
#include <isotape/ops/spectral_bound.hpp>

namespace isotape {

// Norms of a convolution on a torus from the matrices [F, I, O, 2] by which it multiplies each
// frequency (see kernel_symbol). With U the isometry fourier(), the convolution is U^T Q U, Q all
// the matrices together: its norm is at most the largest of theirs, whatever their rounding did to
// the symmetry of the spectrum. A complex matrix a + i b is bounded as the real one [a, -b; b, a],
// which has each singular value twice.

/// The real form [a, -b; b, a], [2 I, 2 O], of the matrix a + i b at frequency f.
Tensor real_form(const Tensor& symbol, std::int64_t f);

/// A proved upper bound of the largest norm among the matrices.
/// @throws NumericError  if an entry is NaN
double frequency_norm_bound(const Tensor& symbol);

/// Proved limits of the singular values of U^T Q U on images of one size. At u = 0 and u = H/2 the
/// spectrum holds v and -v, of which U^T takes the mean with the conjugate: their lower ends are
/// less by half the distance of the two.
/// @throws NumericError  if an entry is NaN
Enclosure frequency_enclosure(const Tensor& symbol, std::int64_t height, std::int64_t width);

/// A proved upper bound of the largest |Q_f^H Q_f - I|, on the smaller side: every singular value
/// lies within (1 +- this)^1/2.
double frequency_defect_bound(const Tensor& symbol);

/// The singular values of U^T Q U on images of one size, descending, by SVD in f64 (to rounding;
/// not an enclosure): H W min(I, O) of them.
std::vector<double> frequency_singular_values(const Tensor& symbol, std::int64_t height,
                                              std::int64_t width);

}  // namespace isotape
