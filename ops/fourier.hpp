#pragma once

#include <cstdint>

#include <isotape/core/tape.hpp>

namespace isotape {

// The discrete Fourier transform of real images, scaled so that it is an isometry onto its image.
// Half of a real image's spectrum is the conjugate of the other half: kept are the frequencies
//
//     (u, v), u = 0..H/2, v = 0..W-1,   at f = u W + v:   F = (H/2 + 1) W of them,
//
// each as a matrix [N, C] of the batch, complex entries as a trailing extent of 2. Any H and W.

/// Number of frequencies kept of an H x W image.
std::int64_t fourier_frequencies(std::int64_t height, std::int64_t width);

/// y[f, n, c] = sqrt(g_u / (H W)) sum_ij x[n, i, j, c] exp(-2 pi i (u i / H + v j / W)),
///
/// g_u = 1 where -u is u modulo H (u = 0, and H/2 of an even H), else 2, for the half that is not
/// kept. Then |y| = |x|. Both axes are folded into even and odd parts and multiplied by tables of
/// cosines and sines; images are shared out among the threads. Cost: about N C H W (H + W) flops.
/// Lipschitz: 1 in l2; GNP: yes, an isometry, whose gradient is inverse_fourier.
///
/// @param x  images [N, H, W, C], f32 or f64
/// @return   [F, N, C, 2]
/// @throws ShapeError  if x has another rank or an empty image
Var fourier(const Var& x);

/// The adjoint of fourier, hence its inverse on what fourier gives. What it does not give (at u = 0
/// and u = H/2, where y(u, v) = conj y(u, -v)) is projected away.
/// Lipschitz: 1 in l2. GNP: keeps the norm of gradients, and of spectra of real images.
///
/// @param y       spectra [F, N, C, 2]
/// @param height  H >= 1
/// @param width   W >= 1
/// @return        [N, H, W, C]
/// @throws ShapeError  if y has another rank or number of frequencies; ValueError if H or W is
///                     below 1
Var inverse_fourier(const Var& y, std::int64_t height, std::int64_t width);

}  // namespace isotape
