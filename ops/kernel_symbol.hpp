#pragma once

#include <cstdint>

#include <isotape/core/tape.hpp>

namespace isotape {

/// The matrices by which a convolution on a torus of H x W pixels multiplies each frequency,
/// transposed for products with rows, at the frequencies of fourier():
///
///     y[u W + v, i, o] = sum_ab w[o, a, b, i] exp(2 pi i (u (a - kh/2) / H + v (b - kw/2) / W)),
///
/// so that fourier(x) times y is the spectrum of conv2d(x, w) under circular padding by k/2 before
/// and (k-1)/2 after. Taps beyond the image wrap around it: any kernel, any image. Linear in w; its
/// cost is 4 F kh kw I O flops each way.
/// Lipschitz: not applicable, maps weights and not activations.
///
/// @param w       kernel [O, kh, kw, I], f32 or f64
/// @param height  H >= 1
/// @param width   W >= 1
/// @return        [F, I, O, 2], F = (H/2 + 1) W
/// @throws ShapeError  if w has another rank; ValueError if H or W is below 1
Var kernel_symbol(const Var& w, std::int64_t height, std::int64_t width);

}  // namespace isotape
