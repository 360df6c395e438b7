#include <isotape/apps/verify/radii.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numbers>

#include <isotape/apps/verify/arithmetic.hpp>
#include <isotape/apps/verify/failure.hpp>

namespace isotape::verify {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double root_of_two() { return sqrt_up(2); }

// The minimum over j, with one way to bound what a difference of logits changes per step.
template <class Slope>
double least_ratio(const std::vector<double>& z, std::int64_t y, double lost, Slope slope) {
  double least = infinity;
  for (std::int64_t j = 0; j < std::ssize(z); ++j) {
    if (j == y) continue;
    const double margin = sub_down(sub_down(z[y], z[j]), lost);
    if (!(margin > 0)) return 0;
    const double d = slope(j);
    if (d > 0) least = std::min(least, div_down(margin, d));
  }
  return least;
}

// What the decimal digits of a whole text denote, to the nearest number.
double decimal(std::string_view text, const std::string& whole) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0) || value > 1e300) {
    throw Failure("eps: expected texts such as 0.3 or 36/255, found '" + whole.substr(0, 40) + "'");
  }
  return value;
}

}  // namespace

double certified_radius(const std::vector<double>& z, std::int64_t y, double error, double later,
                        const Slopes& slopes) {
  const double lost = mul_up(root_of_two(), add_up(error, later));
  const double whole = mul_up(root_of_two(), slopes.lipschitz);
  double radius = least_ratio(z, y, lost, [&](std::int64_t) { return whole; });
  if (slopes.head) {
    const std::vector<double>& pairs = slopes.head->pairs.at(y);
    const double by_pairs = least_ratio(z, y, lost, [&](std::int64_t j) {
      return pairs[j] == 0 ? 0 : mul_up(slopes.head->body, pairs[j]);
    });
    radius = std::max(radius, by_pairs);
  }
  return radius;
}

bool is_clean(const std::vector<double>& z, std::int64_t y) {
  for (std::int64_t j = 0; j < std::ssize(z); ++j) {
    if (j != y && !(z[y] > z[j])) return false;
  }
  return true;
}

double eps_up(const std::string& text) {
  const std::size_t slash = text.find('/');
  const std::string_view view(text);
  const double above = std::nextafter(decimal(view.substr(0, slash), text), infinity);
  if (slash == std::string::npos) return above;
  return div_up(above, std::nextafter(decimal(view.substr(slash + 1), text), 0.0));
}

}  // namespace isotape::verify
