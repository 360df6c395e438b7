#pragma once

#include <cmath>
#include <memory>
#include <string_view>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/layers/parameter.hpp>
#include <isotape/optim/make_optimizer.hpp>

namespace isotape {

/// Runs an optimizer and a plain loop over the same random gradients, entry by entry.
///
/// @param make  `std::unique_ptr<Optimizer>(const ParameterList&)`
/// @param rule  `double(double w, const std::vector<double>& gradients)`: the value after them
/// @return largest deviation of the values after seven steps
template <class Make, class Rule>
double deviation_from(const Make& make, double lr, const Rule& rule, DType dtype) {
  constexpr std::int64_t size = 40;
  Rng rng(1);
  const Tensor start = random_normal(rng, {size}, 1, dtype);
  Tensors gradients(7);
  for (Tensor& gradient : gradients) gradient = random_normal(rng, {size}, 1, dtype);

  Parameter w(start.clone());
  const std::unique_ptr<Optimizer> optimizer = make(ParameterList{{"w", &w}});
  for (const Tensor& gradient : gradients) {
    w.grad = gradient;
    optimizer->step(lr);
  }

  double worst = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    std::vector<double> of_entry(gradients.size());
    for (std::size_t t = 0; t < of_entry.size(); ++t) of_entry[t] = gradients[t].at(i);
    worst = std::fmax(worst, std::abs(w.value().at(i) - rule(start.at(i), of_entry)));
  }
  return worst;
}

/// The values of one entry that starts at 0 and sees a gradient of 1 in every step, negated and in
/// units of the rate.
inline std::vector<double> unit_steps(std::string_view rule, int steps) {
  constexpr double lr = 0.125;
  Parameter w(Tensor::zeros({1}, DType::f64));
  const std::unique_ptr<Optimizer> optimizer = make_optimizer(rule, {{"w", &w}});
  std::vector<double> values(static_cast<std::size_t>(steps));
  for (double& value : values) {
    w.grad = Tensor::full({1}, 1, DType::f64);
    optimizer->step(lr);
    value = -w.value().item() / lr;
  }
  return values;
}

}  // namespace isotape
