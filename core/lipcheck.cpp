#include <isotape/core/lipcheck.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>

namespace isotape {

CheckReport adjoint_test(std::string_view name, const std::function<Var(const Var&)>& f,
                         const Shape& shape, DType dtype, double tolerance, std::uint64_t seed) {
  Rng rng(seed);
  const Tensor x = random_normal(rng, shape, 1, dtype);
  Tape tape;
  const Var input = tape.leaf(x);
  const Var output = f(input);
  const Tensor y = random_normal(rng, output.shape(), 1, dtype);
  tape.backward(output, y.clone());
  const double forward = dot(output.value(), y);
  const double backward = dot(x, input.grad());
  const double scale = frobenius_norm(output.value()) * frobenius_norm(y) +
                       frobenius_norm(x) * frobenius_norm(input.grad());
  const bool ok = scale > 0 && std::abs(forward - backward) <= tolerance * scale;
  return {ok, message(name, ": <f(x), y> = ", forward, ", <x, f^T(y)> = ", backward, ", scale ",
                      scale)};
}

Tensor dense_operator(const std::function<Var(const Var&)>& f, const Shape& shape, DType dtype) {
  const Paused paused;
  const Tensor origin = f(Tensor::zeros(shape, dtype)).value().to(DType::f64);
  const std::int64_t rows = origin.size();
  const std::int64_t columns = shape.size();
  Tensor result({rows, columns}, DType::f64);
  auto* matrix = result.write<double>();
  for (std::int64_t j = 0; j < columns; ++j) {
    Tensor impulse = Tensor::zeros(shape, dtype);
    dispatch_float(dtype, "dense_operator", [&]<class T>() { impulse.write<T>()[j] = T(1); });
    const Tensor response = f(impulse).value().to(DType::f64);
    for (std::int64_t i = 0; i < rows; ++i) {
      matrix[i * columns + j] = response.data<double>()[i] - origin.data<double>()[i];
    }
  }
  return result;
}

std::vector<double> singular_values(const Tensor& matrix) {
  require<ShapeError>(matrix.rank() == 2, "singular_values: expected a matrix, got shape ",
                      matrix.shape());
  require<NumericError>(all_finite(matrix), "singular_values: expected finite entries");
  const std::int64_t m = matrix.dim(0);
  const std::int64_t n = matrix.dim(1);
  Tensor copy = matrix.to(DType::f64).clone();
  std::vector<double> values(static_cast<std::size_t>(std::min(m, n)));
  blas::singular_values(m, n, copy.write<double>(), values.data());
  return values;
}

}  // namespace isotape
