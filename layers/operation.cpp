#include <isotape/layers/operation.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/layers/module.hpp>
#include <isotape/ops/spectral_bound.hpp>

namespace isotape {
namespace {

std::string without_dot(const std::string& prefix) { return prefix.substr(0, prefix.size() - 1); }

// Keys of the weight, and of the bias, if there is one.
std::vector<std::pair<std::string, std::string>> keys(const std::string& prefix,
                                                      const Tensor& bias) {
  std::vector<std::pair<std::string, std::string>> list = {{"weight", prefix + "weight"}};
  if (bias) list.emplace_back("bias", prefix + "bias");
  return list;
}

// A sum of k numbers >= 0 is at least value (1 - k u) / (1 + k u): far more than k u = 2^-53 k is
// allowed for.
double summed_up(double value, std::int64_t k) {
  return value * (1 + 0x1p-50 * static_cast<double>(k + 1));
}

// The root of the largest row sum times the largest column sum of |K| as a matrix from all pixels
// to all pixels [Schur]: a row is a filter, a column an input channel with all its filters and taps
// (where an image wraps around or a border cuts, at most these).
double absolute_norm(const Tensor& kernel, std::int64_t groups) {
  const Shape& k = kernel.shape();
  const std::int64_t taps = k[1] * k[2];
  const auto* entries = kernel.data<float>();
  double row_max = 0;
  double column_max = 0;
  for (std::int64_t g = 0; g < groups; ++g) {
    std::vector<double> columns(static_cast<std::size_t>(k[3]));
    for (std::int64_t o = g * k[0] / groups; o < (g + 1) * k[0] / groups; ++o) {
      double row = 0;
      for (std::int64_t e = 0; e < taps * k[3]; ++e) {
        const double entry = std::abs(static_cast<double>(entries[o * taps * k[3] + e]));
        row += entry;
        columns[static_cast<std::size_t>(e % k[3])] += entry;
      }
      row_max = std::max(row_max, row);
    }
    column_max = std::max(column_max, *std::max_element(columns.begin(), columns.end()));
  }
  return summed_up(std::sqrt(summed_up(row_max, kernel.size()) * column_max), kernel.size());
}

Operation with_bias(Operation operation, const Tensor& bias) {
  const Shape& output = operation.output;
  const std::int64_t pixels = output.size() / output[-1];
  operation.added = bound_product(norm_bound(bias), bound_root(static_cast<double>(pixels)));
  return operation;
}

}  // namespace

double chain_bound(const Operations& operations) {
  double product = 1;
  for (const Operation& operation : operations) product = bound_product(product, operation.bound);
  return product;
}

double joined_bound(const Operation& operation) {
  double sum = 0;
  double squares = 0;
  double largest = 0;
  for (const Operations& branch : operation.branches) {
    const double bound = chain_bound(branch);
    sum = bound_sum(sum, bound);
    squares = bound_sum(squares, bound_product(bound, bound));
    largest = std::max(largest, bound);
  }
  if (operation.op == "sum") return sum;
  if (operation.op == "concat") return bound_root(squares);
  if (operation.op == "split") return largest;
  // (1 - a) + a L = 1 + a (L - 1), `absolute` >= a >= absolute (1 - 2^-44): the largest a where
  // L >= 1, both ends where it is below.
  const double a = operation.absolute;
  if (largest >= 1) return bound_sum(1, bound_product(a, std::nextafter(largest - 1, largest)));
  const double rest = 1 - a * (1 - 0x1p-44);
  return std::min(1.0, bound_sum(std::nextafter(rest, 2.0), bound_product(a, largest)));
}

double norm_bound(const Tensor& b) {
  if (!b) return 0;
  const double norm = frobenius_bound(b.reshaped({1, b.size()}));
  require<NumericError>(std::isfinite(norm), "operation: expected a bias of finite numbers, got ",
                        norm, " as its norm");
  return norm;
}

std::string pairing_word(Pairing pairing) {
  return pairing == Pairing::split ? "split" : "adjacent";
}

Operation linear_operation(const std::string& prefix, const Tensor& weight, const Tensor& bias,
                           const Enclosure& sigma) {
  Operation operation{.name = without_dot(prefix),
                      .op = "linear",
                      .input = {weight.dim(1)},
                      .output = {weight.dim(0)},
                      .tensors = keys(prefix, bias),
                      .weight = weight};
  operation.sigma = sigma;
  operation.bound = operation.sigma.upper;
  operation.absolute = row_column_bound(weight);
  operation.terms = weight.dim(1);
  return with_bias(std::move(operation), bias);
}

Operation conv_operation(const std::string& prefix, const Tensor& kernel, const Tensor& bias,
                         const Conv2dOptions& options, const Shape& input, const Shape& output,
                         const Enclosure& sigma) {
  const bool circular = options.border_mode == PadMode::circular;
  Operation operation{.name = without_dot(prefix),
                      .op = "conv",
                      .input = input,
                      .output = output,
                      .options = {{"stride", std::int64_t{options.stride}},
                                  {"dilation", std::int64_t{options.dilation}},
                                  {"groups", std::int64_t{options.groups}},
                                  {"padding", std::string(circular ? "circular" : "zero")}},
                      .tensors = keys(prefix, bias),
                      .weight = kernel,
                      .border = options.border};
  operation.sigma = sigma;
  operation.bound = operation.sigma.upper;
  operation.absolute = absolute_norm(kernel, options.groups);
  operation.terms = kernel.shape().inner(0);
  return with_bias(std::move(operation), bias);
}

Operation bias_operation(const std::string& prefix, const Tensor& bias, const Shape& shape) {
  Operation operation = plain_operation(prefix + "bias.", "bias", shape, shape);
  operation.tensors = {{"bias", prefix + "bias"}};
  return with_bias(std::move(operation), bias);
}

Shape append_unshuffle(const std::string& prefix, const Shape& image, int s, Operations& to) {
  const Shape unshuffled{image[0] / s, image[1] / s, image[2] * s * s};
  if (s > 1) {
    to.push_back(plain_operation(prefix + "unshuffle.", "pixel_unshuffle", image, unshuffled,
                                 {{"factor", std::int64_t{s}}}));
  }
  return unshuffled;
}

Operation plain_operation(const std::string& prefix, std::string op, const Shape& input,
                          const Shape& output,
                          std::vector<std::pair<std::string, OptionValue>> options) {
  return {.name = without_dot(prefix),
          .op = std::move(op),
          .input = input,
          .output = output,
          .options = std::move(options)};
}

}  // namespace isotape
