#pragma once

#include <cstdint>
#include <vector>

#include <isotape/core/tensor.hpp>
#include <isotape/ops/spectral_bound.hpp>

namespace isotape {

// The singular values of a convolution y[t] = sum_a kernel[a] x[s t + a], s the stride: measured at
// one image size, and proved for all of them. Kernels are [O, h, w, I / groups].

/// Singular values under circular padding on images of one size, all of them, descending: those of
/// the matrices kernel^(theta) = sum_a kernel[a] exp(i a . theta), one per frequency of the image,
/// by SVD in f64 (to rounding; not an enclosure). Taps beyond the image wrap around it, as the
/// convolution does. With a stride the kernel is that on the pixel-unshuffled image. Of a matrix
/// that is not square these are the min(O, I) of its smaller side.
///
/// @param kernel  [O, h, w, I / groups], f32 or f64
/// @param height, width  of the image, multiples of the stride
/// @return  (height / s)(width / s) groups min(O / groups, s^2 I / groups) values
/// @throws ShapeError  if the kernel has another rank or groups do not divide O, or the stride an
///                     extent; ValueError if an extent, stride or groups is below 1; NumericError
///                     if an entry is not finite
std::vector<double> kernel_singular_values(const Tensor& kernel, std::int64_t height,
                                           std::int64_t width, std::int64_t stride = 1,
                                           std::int64_t groups = 1);

/// Encloses the singular values of the convolution at any image size, of its smaller channel side.
///
/// The upper limit holds for zero padding of any width, and for circular padding where the output
/// is no larger than the image and the stride divides its extents (else an input pixel is met more
/// often than the kernel knows); the lower one for the latter. Dilation changes neither at stride
/// 1. Rounding, also of this function, is included. upper^2 is the least of
///
///     c + max_i sum_jd |D_d[i,j]|,   c + sum_d |D_d|_2,   D = G - c delta I,   h w |M|_2^2
///
/// with G_d = sum_a kernel[a]^T kernel[a + d] the Gram kernel (or, where O is smaller, of the
/// outputs), c = 0 or the mean diagonal of G_0, and M the kernel reshaped to a matrix of O, O h or
/// O h w rows [Singla 2021]; lower^2 is c - |D|. So both limits are tight for an orthogonal kernel
/// (to 2e-7 if rounded to f32), and the upper one for a reshaped orthogonal matrix that attains its
/// norm. For others the symbol is sampled, too: see sampled_enclosure(); that takes both within a
/// few percent of the norm, up to some 200 channels.
///
/// @throws as kernel_singular_values
Enclosure kernel_enclosure(const Tensor& kernel, std::int64_t stride = 1, std::int64_t groups = 1);

/// The same on images of one size under circular padding: limits at their frequencies alone.
/// Cost: per frequency as grid_enclosure().
Enclosure kernel_enclosure_at(const Tensor& kernel, std::int64_t height, std::int64_t width,
                              std::int64_t stride = 1, std::int64_t groups = 1);

/// The rule of kernel_enclosure(), in words.
inline constexpr const char* kernel_rule =
    "limits of the kernel's Gram symbol at every frequency, any image size";

/// The upper limit of kernel_enclosure(): a bound of the operator norm in l2 at any image size.
double conv_norm_bound(const Tensor& kernel, std::int64_t stride = 1, std::int64_t groups = 1);

}  // namespace isotape
