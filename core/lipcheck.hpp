#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include <isotape/core/gradcheck.hpp>
#include <isotape/core/tape.hpp>

namespace isotape {

/// Checks <f(x), y> = <x, f^T(y)> for a linear f (f(0) = 0) on random x and y, with f^T the vjp
/// that the tape gives: exact to rounding, no step size.
/// @param shape      of x
/// @param tolerance  relative to |f(x)| |y| + |x| |f^T y|
CheckReport adjoint_test(std::string_view name, const std::function<Var(const Var&)>& f,
                         const Shape& shape, DType dtype, double tolerance, std::uint64_t seed = 1);

/// The matrix of an affine map, by its impulse response: column j is f(e_j) - f(0).
/// @return [size of the output, size of the input], f64
Tensor dense_operator(const std::function<Var(const Var&)>& f, const Shape& shape, DType dtype);

/// Singular values of a matrix, descending, by SVD in f64 (to rounding; not an enclosure).
std::vector<double> singular_values(const Tensor& matrix);

}  // namespace isotape
