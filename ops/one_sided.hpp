#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// y = w / max(sigma, 1), sigma = <g, w>: what lies above the unit ball of a norm is brought onto
/// it, what lies inside stays [Gouk 2018]. g is a constant that makes <g, w> an estimate of the
/// norm: for an operator A(w) that is linear in w it is the gradient of u^T A(w) v, u and v of
/// length 1 from a power iteration. The gradient passes through sigma:
///
///     grad_w = (dy - <dy, y> g) / sigma   if sigma > 1, else dy
///
/// Lipschitz: not applicable, maps weights and not activations; as an operator y exceeds 1 by as
/// much as sigma lies below the norm.
///
/// @param w, g  of one shape and type
/// @throws ShapeError  if they differ
Var one_sided_normalize(const Var& w, const Tensor& g);

}  // namespace isotape
