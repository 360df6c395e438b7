#pragma once

#include <cstdint>
#include <string_view>

#include <isotape/core/tape.hpp>

namespace isotape {

/// The images of a layer that works by frequency, of one size, as a torus: with stride s, pixel
/// unshuffled to [H/s, W/s, C s^2] first.
struct Torus {
  std::int64_t height, width, channels;  ///< of the input
  int stride;

  std::int64_t rows() const { return height / stride; }
  std::int64_t columns() const { return width / stride; }
  std::int64_t unshuffled() const { return channels * stride * stride; }

  /// @throws ShapeError  naming the op, unless input is [H, W, C] and the stride divides H and W
  void check(std::string_view op, const Shape& input) const;
  /// The spectrum [F, N, C s^2, 2] of a batch. @throws ShapeError as check()
  Var spectrum(std::string_view op, const Var& x) const;
  /// The image [N, H/s, W/s, C'] of a spectrum.
  Var image(const Var& spectrum) const;
  /// A kernel's matrices at every frequency, [F, I, O, 2].
  Var symbol(const Var& kernel) const;
};

/// The kernel of a layer of kernel k and stride s behind the unshuffle: max(1, k / s), as in the
/// published code.
inline int unshuffled_kernel(int kernel, int stride) {
  return kernel / stride > 1 ? kernel / stride : 1;
}

}  // namespace isotape
