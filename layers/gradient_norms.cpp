#include <isotape/layers/gradient_norms.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include <isotape/core/error.hpp>
#include <isotape/core/tape.hpp>

namespace isotape {
namespace {

constexpr double no_gradient = -std::numeric_limits<double>::infinity();

// Divides every sample by its length and adds the logarithms of the lengths to `sums`.
void take_lengths(Tensor& gradient, std::vector<double>& sums) {
  const std::int64_t each = gradient.size() / gradient.dim(0);
  auto* row = gradient.write<double>();
  for (double& sum : sums) {
    double largest = 0;  // squares of entries that are that small or large would leave f64
    for (std::int64_t j = 0; j < each; ++j) {
      require<NumericError>(std::isfinite(row[j]),
                            "log_gradient_norms: expected a finite gradient, got ", row[j]);
      largest = std::max(largest, std::abs(row[j]));
    }
    double squares = 0;
    for (std::int64_t j = 0; j < each && largest > 0; ++j) {
      row[j] /= largest;
      squares += row[j] * row[j];
    }
    for (std::int64_t j = 0; j < each && largest > 0; ++j) row[j] /= std::sqrt(squares);
    sum += largest > 0 ? std::log10(largest) + 0.5 * std::log10(squares) : no_gradient;
    row += each;
  }
}

// J^T dy of one layer at x.
Tensor transposed_times(const Module& layer, const Tensor& x, const Tensor& dy) {
  Tape tape;
  const Var leaf = tape.leaf(x);
  const Var y = layer.forward(leaf);
  if (y.tape() != nullptr) tape.backward(y, dy);
  return leaf.grad() ? leaf.grad().clone() : Tensor::zeros(x.shape(), DType::f64);
}

}  // namespace

std::vector<std::vector<double>> log_gradient_norms(const Sequential& net, const Tensor& x,
                                                    const Tensor& gradient) {
  const ConstantParameters constant;
  std::vector<std::unique_ptr<Module>> layers;
  std::vector<Tensor> depth = {x.to(DType::f64)};
  for (const Sequential::Part& part : net.parts()) {
    layers.push_back(part.module->materialize(DType::f64));
    depth.push_back(layers.back()->forward(depth.back()).value());
  }
  require<ShapeError>(gradient.shape() == depth.back().shape() && gradient.size() > 0,
                      "log_gradient_norms: expected a gradient of shape ", depth.back().shape(),
                      ", got ", gradient.shape());

  std::vector<double> sums(static_cast<std::size_t>(gradient.dim(0)), 0.0);
  Tensor unit = gradient.to(DType::f64).clone();
  take_lengths(unit, sums);
  for (double& sum : sums) sum = sum == no_gradient ? no_gradient : 0;
  std::vector<std::vector<double>> norms(depth.size());
  norms.back() = sums;
  for (std::size_t l = layers.size(); l-- > 0;) {
    unit = transposed_times(*layers[l], depth[l], unit);
    take_lengths(unit, sums);
    norms[l] = sums;
  }
  return norms;
}

}  // namespace isotape
