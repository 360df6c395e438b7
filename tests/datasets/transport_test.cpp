#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string_view>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/datasets/transport.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("datasets/transport");

namespace {

constexpr std::int64_t n = 30'000;

double length(const Tensor& x, std::int64_t i, const Tensor* from = nullptr) {
  double squares = 0;
  for (std::int64_t j = i * x.dim(1); j < (i + 1) * x.dim(1); ++j) {
    squares += std::pow(x.at(j) - (from == nullptr ? 0 : from->at(j)), 2);
  }
  return std::sqrt(squares);
}

// The functions of Lipschitz constant 1 that prove the distances from below.
using Function = std::function<double(const Tensor& x, std::int64_t i)>;
const std::map<std::string_view, Function> witnesses = {
    {"two-radii", [](const Tensor& x, std::int64_t i) { return length(x, i); }},
    {"three-cones",
     [](const Tensor& x, std::int64_t i) {
       double least = 100;
       for (const double centre : {-2, 0, 2}) {
         least = std::min(least, std::hypot(x.at(2 * i) - centre, x.at(2 * i + 1)));
       }
       return least;
     }},
    {"shell", [](const Tensor& x, std::int64_t i) { return length(x, i); }},
    {"gaussians", [](const Tensor& x, std::int64_t i) {
       double sum = 0;
       for (std::int64_t j = i * x.dim(1); j < (i + 1) * x.dim(1); ++j) sum += x.at(j);
       return sum / std::sqrt(static_cast<double>(x.dim(1)));
     }}};

}  // namespace

TEST_CASE("transport: a function of Lipschitz constant 1 separates the sets by the distance") {
  for (const TransportProblem& problem : transport_problems()) {
    CAPTURE(problem.name);
    Rng rng(1);
    const Tensor near = problem.near(rng, n);
    const Tensor far = problem.far(rng, n);
    REQUIRE(near.shape() == Shape({n, problem.dimension}));
    REQUIRE(far.shape() == near.shape());
    double difference = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      difference += (witnesses.at(problem.name)(far, i) - witnesses.at(problem.name)(near, i)) / n;
    }
    // Of the Gaussians' means each has deviation 1 / sqrt(n).
    const double room = problem.paired ? 1e-12 : 4 * std::sqrt(2.0 / n);
    CHECK(std::abs(difference - problem.distance) <= room);
  }
}

TEST_CASE("transport: paired points are the distance apart, so that no estimate is above it") {
  for (const TransportProblem& problem : transport_problems()) {
    if (!problem.paired) continue;
    CAPTURE(problem.name);
    Rng rng(2);
    const Tensor near = problem.near(rng, 100);
    const Tensor far = problem.far(rng, 100);
    for (std::int64_t i = 0; i < 100; ++i) {
      CHECK(length(far, i, &near) == doctest::Approx(problem.distance).epsilon(1e-12));
    }
  }
}

TEST_CASE("transport: along its line, the best critic is the one that proves the distance") {
  const std::vector<double> t = {-3, -1, -0.25, 0, 0.5, 1, 1.5, 2, 2.5};
  for (const TransportProblem& problem : transport_problems()) {
    CAPTURE(problem.name);
    const Tensor x = on_line(problem, t);
    REQUIRE(x.shape() == Shape({9, problem.dimension}));
    for (std::int64_t i = 0; i < x.dim(0); ++i) {
      CHECK(length(x, i) == doctest::Approx(std::abs(t[i])).epsilon(1e-14));
      CHECK(problem.best(t[i]) == doctest::Approx(witnesses.at(problem.name)(x, i)).epsilon(1e-14));
    }
  }
}

TEST_CASE("transport: an unknown problem is named with the known ones") {
  CHECK_THROWS_WITH_AS(transport_problem("sphere"),
                       "transport_problem: expected one of two-radii, three-cones, shell, "
                       "gaussians, got 'sphere'",
                       ValueError);
}

TEST_SUITE_END();
