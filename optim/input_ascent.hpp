#pragma once

#include <functional>

#include <isotape/core/random.hpp>
#include <isotape/core/tape.hpp>
#include <isotape/optim/ball.hpp>

namespace isotape {

struct AscentOptions {
  double eps = 0.3;      ///< radius of the ball, >= 0, in units of the input
  int steps = 10;        ///< >= 0
  double step = 0.075;   ///< length of a step, > 0, in units of the input
  double start = 1e-3;   ///< deviation of the normal noise to start from, >= 0
  bool in_unit = false;  ///< keep entries in [0, 1], where the inputs' are: pixels
  BallNorm norm = BallNorm::l2;
};

/// Looks for inputs near x that make f large, by projected gradient ascent: from x and a little
/// noise, every step goes `step` along the gradient of each row, in linf along its signs, then back
/// to the nearest point within eps of x and in [0, 1] (see ascend() and project()). A row without a
/// gradient stays where it is. What it finds is an estimate, not the maximum.
///
/// Parameters are constants meanwhile: gradients go through the folded weights, and to nothing
/// else.
///
/// @param x  [N, ...], f32 or f64
/// @param f  a sum or mean over the rows, of which row i depends on row i of x alone
/// @return   as x
/// @throws ShapeError  if x has no rows; ValueError if an option is out of range
Tensor ascend_inputs(const Tensor& x, const std::function<Var(const Var&)>& f,
                     const AscentOptions& options, Rng& rng);

}  // namespace isotape
