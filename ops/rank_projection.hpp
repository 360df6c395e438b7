#pragma once

#include <cstdint>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/core/tensor.hpp>

namespace isotape {

/// The matrix of rank <= r nearest to w in every unitarily invariant norm: its first r singular
/// triples, in f64. At |w - y|_F the norm of the other singular values.
///
/// @param w     [m, n], f32 or f64
/// @param rank  r >= 1; w itself where r >= min(m, n)
/// @return      [m, n], of w's type
/// @throws ShapeError    if w is not a matrix
/// @throws ValueError    if r < 1
/// @throws NumericError  if an entry is not finite
Tensor truncate_rank(const Tensor& w, std::int64_t rank);

struct NystromOptions {
  std::int64_t columns = 64;  ///< sampled for each replica, in rank..n
  int replicas = 3;           ///< >= 1
};

/// Nearly the same, from a sample of columns [Sanyal 2020]: for each replica t, c columns w_J drawn
/// without replacement, longer ones likelier (in proportion to |w_j|^2), the first r left singular
/// vectors U_t of w_J, and U_t U_t^T w; the mean of the replicas, truncated to rank r. Costs two
/// thin products of [m, n] and SVDs of [m, c] and [r replicas, n] instead of the SVD of w.
///
/// @param rng  for the columns
/// @throws ShapeError, NumericError  as above; ValueError if an option is out of range
Tensor nystrom_rank(const Tensor& w, std::int64_t rank, const NystromOptions& options, Rng& rng);

/// The share of the first k singular values in the sum of squares of all, for k = 1, 2, ...: how
/// much of the activations lies in k directions. 1 throughout for a = 0.
///
/// @param a  activations, [n, m]
/// @return   min(n, m) numbers, ascending, the last one 1
/// @throws ShapeError  if a is not a matrix; NumericError if an entry is not finite
std::vector<double> variance_ratios(const Tensor& a);

}  // namespace isotape
