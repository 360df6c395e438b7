#include <isotape/apps/verify/arithmetic.hpp>

#include <cmath>
#include <limits>

#include <isotape/apps/verify/failure.hpp>

#ifdef __FAST_MATH__
#error "the checker needs arithmetic as IEEE 754 has it"
#endif

namespace isotape::verify {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// What is not a number (0 times infinity, say) bounds nothing.
double above(double x) { return std::isnan(x) ? infinity : std::nextafter(x, infinity); }
double below(double x) { return std::isnan(x) ? -infinity : std::nextafter(x, -infinity); }

}  // namespace

double add_up(double a, double b) { return above(a + b); }
double sub_up(double a, double b) { return above(a - b); }
double mul_up(double a, double b) { return above(a * b); }
double div_up(double a, double b) { return above(a / b); }
double sqrt_up(double a) { return above(std::sqrt(a)); }
double add_down(double a, double b) { return below(a + b); }
double sub_down(double a, double b) { return below(a - b); }
double mul_down(double a, double b) { return below(a * b); }
double div_down(double a, double b) { return below(a / b); }
double sqrt_down(double a) { return a > 0 ? below(std::sqrt(a)) : 0; }
double inflated(double sum, double roundings) {
  return mul_up(sum, add_up(1, gamma_up(roundings)));
}

// k and the unit's product are exact below 2^53: the unit is a power of two.
double gamma_up(double k, const Format& format) {
  const double ku = k * format.unit;
  return ku < 0.5 ? div_up(ku, sub_down(1, ku)) : infinity;
}

// 1 + 3/4 of its unit is rounded up, 1 + a quarter of it down: to nearest alone does both. A
// denormal number that is flushed, as a factor or as a product, is zero.
void check_environment() {
  volatile double one = 1;
  volatile double much = 0x1.8p-53;
  volatile double little = 0x1p-54;
  volatile double smallest = std::numeric_limits<double>::min();
  volatile double denormal = smallest * 0.25;
  volatile double doubled = denormal * 4;
  if (!(one + much > 1) || one + little != 1) {
    throw Failure("arithmetic: expected rounding to nearest, found another mode");
  }
  if (denormal == 0 || doubled != smallest) {
    throw Failure("arithmetic: expected denormal numbers, found them flushed to zero");
  }
}

}  // namespace isotape::verify
