#include <isotape/layers/bound.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace isotape {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

// Rounding to nearest misses the exact product by less than one place, below the normal numbers
// too; a factor of exactly 1 loses nothing. nextafter keeps NaN and infinity.
double bound_product(double a, double b) {
  if (a == 1 || b == 1) return a * b;
  return std::nextafter(a * b, infinity);
}

double bound_sum(double a, double b) {
  if (a == 0 || b == 0) return a + b;
  return std::nextafter(a + b, infinity);
}

double bound_root(double square) {
  const double root = std::sqrt(square);
  return std::fma(root, root, -square) >= 0 ? root : std::nextafter(root, infinity);
}

// An overflow of lower ends is no proof of infinity: the largest double is below the product, too.
double lower_product(double a, double b) {
  if (a == 1 || b == 1) return a * b;
  return std::max(0.0, std::nextafter(a * b, 0.0));
}

double lower_difference(double a, double b) {
  if (b == 0) return a;
  return std::max(0.0, std::nextafter(a - b, -infinity));
}

}  // namespace isotape
