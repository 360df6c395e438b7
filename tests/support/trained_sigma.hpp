#pragma once

#include <doctest/doctest.h>
#include <cmath>
#include <vector>

#include <isotape/core/lipcheck.hpp>
#include <isotape/layers/bcop.hpp>
#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/layers/spectrum.hpp>
#include <isotape/layers/weight.hpp>

// Singular values after training: within 3e-6 of 1 for the weights that a training step uses,
// within 3e-7 for the folded ones.
constexpr double step_tolerance = 3e-6;
constexpr double folded_tolerance = 3e-7;

inline void check_sigma(const std::vector<double>& sigma, double tolerance) {
  CHECK(std::abs(sigma.front() - 1) <= tolerance);
  CHECK(std::abs(sigma.back() - 1) <= tolerance);
}

// By the FFT of the kernel at the layer's image size and, where that is not too large a matrix, by
// the dense operator on small images.
inline void check_kernel(const isotape::Tensor& kernel, std::int64_t side, double tolerance) {
  using namespace isotape;
  check_sigma(kernel_singular_values(kernel, side, side), tolerance);
  constexpr std::int64_t dense_channels = 64;
  if (kernel.dim(3) > dense_channels) return;
  const Conv2d plain(kernel.to(DType::f64), {}, {});
  const auto f = [&](const Var& x) { return plain.forward(x); };
  for (const auto& [height, width] : {std::pair{6, 6}, std::pair{5, 7}}) {
    const Shape input{1, height, width, kernel.dim(3)};
    check_sigma(singular_values(dense_operator(f, input, DType::f64)), tolerance);
  }
}

// Every layer of a BCOP net whose input is a square of that side.
inline void check_every_sigma(isotape::Model& model, std::size_t layers) {
  using namespace isotape;
  std::int64_t side = model.input[0];
  std::size_t checked = 0;
  for (const auto& part : model.net.parts()) {
    CAPTURE(part.name);
    if (const auto* conv = dynamic_cast<const BcopConv2d*>(part.module.get())) {
      side /= conv->stride();
      check_kernel(conv->folded_kernel(), side, folded_tolerance);
      Tape tape;
      model.net.prepare();
      check_kernel(conv->kernel().value(), side, step_tolerance);
      ++checked;
    } else if (const auto* dense = dynamic_cast<const Linear*>(part.module.get())) {
      check_sigma(singular_values(dense->weight().folded()), folded_tolerance);
      Tape tape;
      model.net.prepare();
      check_sigma(singular_values(model.net.weights()[checked].weight->var().value()),
                  step_tolerance);
      ++checked;
    }
  }
  CHECK(checked == layers);
  CHECK(model.net.lipschitz_bound().value < 1.00001);
}
