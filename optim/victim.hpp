#pragma once

#include <functional>

#include <isotape/core/tape.hpp>
#include <isotape/layers/module.hpp>

namespace isotape {

/// A classifier as an attack sees it: a map from inputs to logits, row by row. Its parameters are
/// constants: gradients go through the folded weights to the inputs, and to nothing else. Whatever
/// the net does to its input (scaling, centering) is part of it, so that inputs are raw pixels.
class Victim {
 public:
  /// @param net  must outlive the victim, with its weights folded (Module::prepare)
  explicit Victim(const Module& net) : forward_([&net](const Var& x) { return net.forward(x); }) {}
  explicit Victim(std::function<Var(const Var&)> forward) : forward_(std::move(forward)) {}

  /// @param x  [n, ...]
  /// @return   [n, C], f64
  /// @throws NumericError  if a logit is NaN or infinite; ShapeError unless they are [n, C], C >= 2
  Tensor logits(const Tensor& x) const;

 private:
  friend class Look;
  Var forward(const Var& x) const { return forward_(x); }
  std::function<Var(const Var&)> forward_;
};

/// One forward pass of a victim from which gradients are taken, as many as wanted.
class Look {
 public:
  Look(const Victim& victim, const Tensor& x);

  /// [n, C], f64.
  const Tensor& logits() const { return logits_; }
  /// Row i of the result is the gradient of sum_j seed_ij f_j with respect to row i of x.
  /// @param seed  [n, C], f64
  /// @return      as x
  /// @throws NumericError  if an entry is NaN or infinite
  Tensor gradient(const Tensor& seed);

 private:
  ConstantParameters constant_;
  Tape tape_;
  Var x_;
  Var y_;
  Tensor logits_;
};

}  // namespace isotape
