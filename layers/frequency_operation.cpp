#include <isotape/layers/frequency_operation.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include <isotape/layers/bound.hpp>

namespace isotape {
namespace {

// The root of the largest row sum times the largest column sum of |re| + |im| over all frequencies:
// >= the norm of [|a|, |b|; |b|, |a|] of each matrix a + i b. A sum of k numbers is off by less
// than 2^-52 k of it.
double absolute_norm(const Tensor& symbol) {
  const std::int64_t rows = symbol.dim(1);
  const std::int64_t columns = symbol.dim(2);
  const auto* entry = symbol.data<float>();
  double row_max = 0;
  double column_max = 0;
  for (std::int64_t f = 0; f < symbol.dim(0); ++f) {
    std::vector<double> column_sums(static_cast<std::size_t>(columns));
    for (std::int64_t i = 0; i < rows; ++i) {
      double row = 0;
      for (std::int64_t o = 0; o < columns; ++o, entry += 2) {
        const double size = std::abs(double(entry[0])) + std::abs(double(entry[1]));
        row += size;
        column_sums[static_cast<std::size_t>(o)] += size;
      }
      row_max = std::max(row_max, row);
    }
    column_max = std::max(column_max, *std::max_element(column_sums.begin(), column_sums.end()));
  }
  const auto summands = static_cast<double>(2 * (rows + columns));
  return std::sqrt(row_max * column_max) * (1 + 0x1p-50 * (summands + 4));
}

}  // namespace

Operation frequency_operation(const std::string& prefix, const Tensor& symbol, double norm,
                              const Tensor& bias, const Shape& input, const Shape& output) {
  Operation operation = plain_operation(prefix, "frequencies", input, output);
  operation.tensors = {{"weight", prefix + "symbol"}};
  if (bias) operation.tensors.emplace_back("bias", prefix + "bias");
  operation.weight = symbol;
  operation.sigma = {0, norm};
  operation.bound = norm;
  operation.absolute = absolute_norm(symbol);
  operation.terms = 2 * std::max(symbol.dim(1), symbol.dim(2));
  const std::int64_t pixels = output.size() / output[-1];
  operation.added = bound_product(norm_bound(bias), bound_root(static_cast<double>(pixels)));
  return operation;
}

}  // namespace isotape
