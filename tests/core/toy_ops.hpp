#pragma once

#include <cstdint>
#include <initializer_list>

#include <isotape/core/tape.hpp>

// Three ops for the tests of the tape, on f64 vectors.
namespace isotape::toy {

inline const Op add_op("test_add");
inline const Op mul_op("test_mul");
inline const Op sum_difference_op("test_sum_difference");

inline Tensor vector(std::initializer_list<double> values) {
  return Tensor::of(values, {static_cast<std::int64_t>(values.size())}, DType::f64);
}

inline Tensor plus(const Tensor& a, const Tensor& b, double factor = 1) {
  Tensor y = a.clone();
  add_in_place(y, b, factor);
  return y;
}

inline Tensor times(const Tensor& a, const Tensor& b) {
  Tensor y(a.shape(), a.dtype());
  auto* target = y.write<double>();
  for (std::int64_t i = 0; i < a.size(); ++i) target[i] = a.at(i) * b.at(i);
  return y;
}

// Hands one and the same tensor to both inputs.
inline Var add(const Var& a, const Var& b) {
  return record(
      add_op, plus(a.value(), b.value()), {a, b}, {},
      [](const Tensor& dy, Needs) -> Grads<2> {
        return {dy, dy};
      },
      [](const Tangents<2>& d) {
        if (!d[0] || !d[1]) return d[0] ? d[0] : d[1];
        return plus(d[0], d[1]);
      });
}

inline Var mul(const Var& a_var, const Var& b_var) {
  const Tensor& a = a_var.value();
  const Tensor& b = b_var.value();
  return record(
      mul_op, times(a, b), {a_var, b_var}, {a, b},
      [a, b](const Tensor& dy, Needs needs) -> Grads<2> {
        return {needs(0) ? times(dy, b) : Tensor(), needs(1) ? times(dy, a) : Tensor()};
      },
      [a, b](const Tangents<2>& d) {
        const Tensor da = d[0] ? times(d[0], b) : Tensor::zeros(a.shape(), a.dtype());
        return d[1] ? plus(da, times(a, d[1])) : da;
      });
}

// Two outputs, a + b and a - b; the gradient of one that nobody used is absent.
inline Vars sum_difference(const Var& a, const Var& b) {
  auto vjp = [](Tensors dy, Needs) -> Tensors {
    if (!dy[1]) return {dy[0], dy[0]};
    const Tensor negative = plus(Tensor::zeros(dy[1].shape(), DType::f64), dy[1], -1);
    if (!dy[0]) return {dy[1], negative};
    return {plus(dy[0], dy[1]), plus(dy[0], negative)};
  };
  auto jvp = [](const Tensors& d) -> Tensors {
    const Tensor zero = Tensor::zeros((d[0] ? d[0] : d[1]).shape(), DType::f64);
    const Tensor da = d[0] ? d[0] : zero;
    const Tensor db = d[1] ? d[1] : zero;
    return {plus(da, db), plus(da, db, -1)};
  };
  return record_many(sum_difference_op,
                     {plus(a.value(), b.value()), plus(a.value(), b.value(), -1)}, {a, b}, {}, vjp,
                     jvp);
}

inline bool equal(const Tensor& a, std::initializer_list<double> values) {
  return a && max_abs_diff(a, vector(values)) == 0;
}

}  // namespace isotape::toy
