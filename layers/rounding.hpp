#pragma once

#include <isotape/layers/operation.hpp>

namespace isotape {

/// A floating-point arithmetic in rounding to nearest.
struct Arithmetic {
  double unit;      ///< roundoff u: results are off by at most a factor of 1 +- u
  double smallest;  ///< normal number: what underflow loses is less
  double largest;   ///< norm that is vouched for: beyond it something may overflow
  static Arithmetic f64() { return {0x1p-53, 0x1p-1022, 0x1p500}; }
  static Arithmetic f32() { return {0x1p-24, 0x1p-126, 0x1p60}; }
};

/// What is known of one activation x and of the computed one, x'.
struct Magnitude {
  double norm = 0;   ///< >= |x|_2
  double error = 0;  ///< >= |x' - x|_2
};

/// The logits' magnitude when the operations are computed on an x of the given one: the rules of
/// docs/certificate.md, "Rounding of the forward pass", valid for any order of summation, with or
/// without fused operations. In nets of norm 1 the errors of the layers add up; they do not
/// multiply. Infinite where something may overflow.
/// @throws ValueError  for an operation without a rule
Magnitude rounding(const Operations& operations, Magnitude x, const Arithmetic& arithmetic);

}  // namespace isotape
