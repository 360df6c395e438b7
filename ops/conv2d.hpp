#pragma once

#include <cstdint>
#include <string>

#include <isotape/core/tape.hpp>
#include <isotape/ops/frame.hpp>

namespace isotape {

struct Conv2dOptions {
  int stride = 1;    ///< in both directions, >= 1
  int padding = 0;   ///< zeros on each side, >= 0
  int groups = 1;    ///< divides the channels of x and the filters of w
  int dilation = 1;  ///< distance of neighbouring taps, >= 1
  /// Rows and columns put around x first, as by pad(x, border, border_mode), each >= 0.
  Padding border = {};
  PadMode border_mode = PadMode::circular;
  /// bf16: of the products of f32 values, forward and backward, where the convolution is dense (one
  /// group, no dilation, no strided 1x1 kernel). Values of f64 stay what they are.
  Precision precision = Precision::full;
};

/// Convolution of a batch of images, that is, as everywhere in deep learning, correlation:
///
///     y[n, i, j, o] = bias[o] + sum over a, b, c of
///                     w[o, a, b, c] x[n, i stride - padding + a dilation, ..., g C/groups + c]
///
/// with g the group of filter o, and x with its border. f32 runs on oneDNN or, where that was
/// measured faster, as f64 always does, through patches and GEMM. Gradients that nobody needs are
/// not computed. NaN and infinities of x reach every output whose window they are in. Lipschitz:
/// none by itself, for it depends on w.
///
/// @param x     activations, [N, H, W, C]
/// @param w     filters, [O, kh, kw, C/groups]
/// @param bias  [O], or absent
/// @return      with H and W those of x with its border, [N, (H + 2 padding - (kh - 1) dilation -
/// 1) / stride + 1, ..., O]
/// @throws ShapeError  if the shapes or types do not fit; ValueError if an option is out of range
/// or
///                     the CPU has no bf16
Var conv2d(const Var& x, const Var& w, const Var& bias = {}, const Conv2dOptions& options = {});

/// What conv2d asked of oneDNN since the program began. In the steady state of a training no
/// primitive is created, and each pass of a convolution reorders its weights at most once; where
/// nothing records, weights that have not changed are not reordered again.
struct Conv2dCounters {
  std::int64_t primitives_created = 0;
  std::int64_t reorders = 0;
  std::int64_t scratchpads = 0;  ///< tensors it worked in: how many depends on the processor
};
Conv2dCounters conv2d_counters();

/// The loaded oneDNN, its threads and the instruction set it chose: "2.6.3, OpenMP, avx512_core".
std::string onednn_description();

}  // namespace isotape
