#pragma once

#include <string>

#include <isotape/ops/spectral_bound.hpp>

namespace isotape {

/// A proved upper bound of an operator norm in l2, and the rule that proves it.
struct Bound {
  double value = 1;
  std::string rule;
};

/// A double not below the exact product of two bounds: what a chain of two maps has.
double bound_product(double a, double b);
/// Not below the exact sum, or root, of bounds >= 0: what branches have.
double bound_sum(double a, double b);
double bound_root(double square);

/// Not above the exact product or difference, 0 where that is below 0: of lower ends >= 0.
double lower_product(double a, double b);
double lower_difference(double a, double b);

}  // namespace isotape
