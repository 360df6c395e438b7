#pragma once

#include <isotape/core/tape.hpp>

namespace isotape {

/// Kullback-Leibler divergence between the predictions of two batches of logits, whose gradient
/// passes to both:
///
///     mean over rows of  sum_j p_j (log p_j - log q_j),   p = softmax(f), q = softmax(g)
///
/// It is the robust part of TRADES [Zhang 2019], with f of the inputs and g of the attacked ones.
/// NaN in a row makes it NaN, and the gradients of that row.
/// Lipschitz: sqrt(2 / N) in g in l2 over the whole batch; none in f.
///
/// @param f  [N, C], N and C >= 1, f32 or f64
/// @param g  of the same shape and type
/// @return   scalar, [], >= 0
/// @throws ShapeError  if shapes do not fit
Var kl_divergence(const Var& f, const Var& g);

}  // namespace isotape
