#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// y = a + b, y = a - b, y = a b, entry by entry. b may be repeated over a, see
/// require_broadcastable(); its gradient is the sum over the repetitions.
/// Lipschitz: add and sub sqrt(2) in (a, b) jointly, 1 in each of equal shape; mul: no.
///
/// @param a  of any shape, f32 or f64
/// @param b  of that shape, of a's trailing axes, or of one element; of the same type
/// @return   of a's shape
/// @throws ShapeError  if b does not repeat to a, or has another type
Var add(const Var& a, const Var& b);
Var sub(const Var& a, const Var& b);
Var mul(const Var& a, const Var& b);

/// y = factor x. Lipschitz: |factor| in l2.
Var scale(const Var& x, double factor);

/// y = x + s. Lipschitz: 1 in l2; GNP: yes.
Var add_scalar(const Var& x, double s);

/// y = -x. Lipschitz: 1 in l2; GNP: yes.
Var neg(const Var& x);

/// y = |x|, with slope +1 at 0, so that no gradient is lost there.
/// Lipschitz: 1 in l2; GNP: yes.
Var abs(const Var& x);
/// Of a value that is given away: in its own memory, where nobody else holds it and nothing
/// records.
Var abs(Var&& x);

/// y = max(x, 0), with slope 0 at 0. NaN stays NaN.
/// Lipschitz: 1 in l2; GNP: no, the gradient of negative entries is lost.
Var relu(const Var& x);
/// Of a value that is given away: in its own memory, where nobody else holds it.
Var relu(Var&& x);

/// y = x where x > 0, slope x elsewhere; at 0 the derivative is `slope`. NaN stays NaN.
/// Lipschitz: max(1, |slope|) in l2; GNP: no, but for slope = 1 and -1 (abs but for the slope at
/// 0).
Var leaky_relu(const Var& x, double slope);

/// y = x^2. Lipschitz: no.
Var square(const Var& x);

/// y = sqrt(x): NaN below 0, slope +inf at 0; norm() is the one with a gradient at 0.
/// Lipschitz: no.
Var sqrt(const Var& x);

/// y = exp(x). Lipschitz: no.
Var exp(const Var& x);

/// y = 1 / (1 + exp(-x)), without overflow. Lipschitz: 1/4 in l2.
Var sigmoid(const Var& x);

/// y = log(x), natural: NaN below 0, -inf at 0. Lipschitz: no.
Var log(const Var& x);

/// The functions above, as operators.
inline Var operator+(const Var& a, const Var& b) { return add(a, b); }
inline Var operator-(const Var& a, const Var& b) { return sub(a, b); }
inline Var operator*(const Var& a, const Var& b) { return mul(a, b); }
inline Var operator*(double factor, const Var& x) { return scale(x, factor); }
inline Var operator-(const Var& x) { return neg(x); }

}  // namespace isotape
