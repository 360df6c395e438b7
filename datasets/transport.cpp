#include <isotape/datasets/transport.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

constexpr std::int64_t shell_dimension = 128;
constexpr std::int64_t gaussian_dimension = 16;
constexpr double shift = 2;

template <std::int64_t dimension>
Tensor origin(Rng& /*rng*/, std::int64_t n) {
  return Tensor::zeros({n, dimension}, DType::f64);
}

Tensor ends(Rng& /*rng*/, std::int64_t n) {
  Tensor x({n, 1}, DType::f64);
  auto* values = x.write<double>();
  for (std::int64_t i = 0; i < n; ++i) values[i] = i % 2 == 0 ? -1 : 1;
  return x;
}

// The three centres in turn, and points of the circles round them.
Tensor around_centres(Rng& rng, std::int64_t n, double radius) {
  Tensor x({n, 2}, DType::f64);
  auto* values = x.write<double>();
  for (std::int64_t i = 0; i < n; ++i) {
    const double angle = 2 * std::numbers::pi * rng.uniform();
    values[2 * i] = static_cast<double>(2 * (i % 3) - 2) + radius * std::cos(angle);
    values[2 * i + 1] = radius * std::sin(angle);
  }
  return x;
}
Tensor centres(Rng& rng, std::int64_t n) { return around_centres(rng, n, 0); }
Tensor circles(Rng& rng, std::int64_t n) { return around_centres(rng, n, 1); }

Tensor shell(Rng& rng, std::int64_t n) {
  Tensor x = random_normal(rng, {n, shell_dimension}, 1, DType::f64);
  auto* row = x.write<double>();
  for (std::int64_t i = 0; i < n; ++i, row += shell_dimension) {
    double squares = 0;
    for (std::int64_t j = 0; j < shell_dimension; ++j) squares += row[j] * row[j];
    for (std::int64_t j = 0; j < shell_dimension; ++j) row[j] /= std::sqrt(squares);
  }
  return x;
}

Tensor gaussian(Rng& rng, std::int64_t n) {
  return random_normal(rng, {n, gaussian_dimension}, 1, DType::f64);
}
Tensor shifted_gaussian(Rng& rng, std::int64_t n) {
  Tensor x = gaussian(rng, n);
  auto* values = x.write<double>();
  const double each = shift / std::sqrt(static_cast<double>(gaussian_dimension));
  for (std::int64_t i = 0; i < x.size(); ++i) values[i] += each;
  return x;
}

double length_along(double t) { return std::abs(t); }
double cones_along(double t) { return std::min({std::abs(t + 2), std::abs(t), std::abs(t - 2)}); }
double linear_along(double t) { return t; }

}  // namespace

Tensor on_line(const TransportProblem& problem, const std::vector<double>& t) {
  Tensor x = Tensor::zeros({static_cast<std::int64_t>(t.size()), problem.dimension}, DType::f64);
  auto* row = x.write<double>();
  const double each = problem.diagonal ? 1 / std::sqrt(static_cast<double>(problem.dimension)) : 1;
  for (const double along : t) {
    for (std::int64_t j = 0; j < (problem.diagonal ? problem.dimension : 1); ++j) {
      row[j] = along * each;
    }
    row += problem.dimension;
  }
  return x;
}

const std::vector<TransportProblem>& transport_problems() {
  static const std::vector<TransportProblem> list = {
      {"two-radii", "0 and {-1, 1}", 1, 1, true, origin<1>, ends, true, length_along},
      {"three-cones", "three points and circles", 2, 1, true, centres, circles, false, cones_along},
      {"shell", "0 and a shell in 128-D", shell_dimension, 1, true, origin<shell_dimension>, shell,
       true, length_along},
      {"gaussians", "shifted Gaussians in 16-D", gaussian_dimension, shift, false, gaussian,
       shifted_gaussian, true, linear_along}};
  return list;
}

const TransportProblem& transport_problem(std::string_view name) {
  std::string names;
  for (const TransportProblem& problem : transport_problems()) {
    if (problem.name == name) return problem;
    names += (names.empty() ? "" : ", ") + std::string(problem.name);
  }
  throw ValueError(message("transport_problem: expected one of ", names, ", got '", name, "'"));
}

}  // namespace isotape
