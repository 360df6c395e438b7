#include <isotape/layers/sandwich_operation.hpp>

#include <cmath>
#include <limits>
#include <numbers>
#include <utility>
#include <vector>

#include <isotape/layers/bound.hpp>

namespace isotape {
namespace {

// >= the norm of what the activation gives for x = 0: s (sigma(0) + |b|), s = sqrt(2) exp(psi).
double offset_bound(const Tensor& psi, const Tensor& bias, SlopeRestricted activation) {
  const double at_zero = activation == SlopeRestricted::softplus  ? std::numbers::ln2
                         : activation == SlopeRestricted::sigmoid ? 0.5
                                                                  : 0;
  std::vector<double> moved;
  std::vector<double> constant;
  for (std::int64_t j = 0; j < psi.size(); ++j) {
    const double s = std::numbers::sqrt2 * std::exp(psi.at(j)) * (1 + 0x1p-48);
    moved.push_back(bias ? s * bias.at(j) : 0);
    constant.push_back(s * at_zero);
  }
  return bound_sum(norm_bound(Tensor::of(moved, psi.shape(), DType::f64)),
                   norm_bound(Tensor::of(constant, psi.shape(), DType::f64))) *
         (1 + 0x1p-48);
}

}  // namespace

void add_activation(const std::string& prefix, const Tensor& psi, const Tensor& bias,
                    SlopeRestricted activation, Operation& operation) {
  operation.options = {{"activation", std::string(name(activation))}};
  operation.tensors = {{"weight", operation.tensors.front().second}, {"psi", prefix + "psi"}};
  if (bias) operation.tensors.emplace_back("bias", prefix + "bias");
  operation.sigma.lower = 0;
  operation.bound = bound_product(operation.sigma.upper, operation.sigma.upper);
  const std::int64_t pixels = operation.output.size() / operation.output[-1];
  operation.added =
      bound_product(offset_bound(psi, bias, activation), bound_root(static_cast<double>(pixels)));
  constexpr double largest_psi = 16;
  if (!(max_abs(psi) <= largest_psi)) {
    operation.absolute = std::numeric_limits<double>::infinity();
  }
}

void append_gain(const std::string& prefix, const Shape& input, double gamma,
                 Operations& operations) {
  if (gamma == 1) return;
  const double root = std::sqrt(gamma);
  operations.push_back(plain_operation(prefix + "gain.", "gain", input, input, {{"value", root}}));
  operations.back().bound = root;
}

}  // namespace isotape
