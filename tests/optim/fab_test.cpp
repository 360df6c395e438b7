#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/optim/fab.hpp>
#include "linear_victim.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("optim/fab");

TEST_CASE("fab: finds the exact radius of a linear classifier within 1 %, with the range or not") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    LinearVictim linear(5, {5, 5, 1}, dtype, 1);
    CHECK(worst_ratio(Fab({.steps = 30}), linear, linear.task(10, 0.3, 0.7, {0, 1})) <= 1.01);
    CHECK(worst_ratio(Fab({.steps = 30}), linear, linear.task(10, 0, 1, {0, 1})) <= 1.01);
    CHECK(worst_ratio(Fab({.steps = 30}), linear, linear.task(10, -3, 3)) <= 1.01);
  }
}

TEST_CASE("nearest_on_plane: in the range, on the plane, and orthogonal to it where it is free") {
  Rng rng(2);
  for (int trial = 0; trial < 100; ++trial) {
    std::vector<double> p(7);
    std::vector<double> w(7);
    for (double& entry : p) entry = rng.uniform();
    for (double& entry : w) entry = rng.normal();
    w[2] = 0;
    const double value = rng.normal();
    const std::vector<double> way = nearest_on_plane(p, w, value, {0, 1});
    double reached = 0;
    double reachable = 0;  // by the corner of the range
    double lambda = 0;     // of the free entries, that move furthest per slope
    for (std::size_t k = 0; k < p.size(); ++k) {
      CHECK(p[k] + way[k] >= -1e-12);
      CHECK(p[k] + way[k] <= 1 + 1e-12);
      reached += w[k] * way[k];
      const bool goes_down = (value > 0) == (w[k] > 0);
      reachable += std::abs(w[k]) * (goes_down ? p[k] : 1 - p[k]);
      if (w[k] != 0) lambda = std::max(lambda, std::abs(way[k] / w[k]));
    }
    CHECK(way[2] == 0);
    CHECK(std::abs(reached) == doctest::Approx(std::min(std::abs(value), reachable)));
    if (std::abs(value) > 0) CHECK(reached * value < 0);
    if (std::abs(value) >= reachable) continue;
    for (std::size_t k = 0; k < p.size(); ++k) {
      if (w[k] == 0) continue;
      const double end = p[k] + way[k];
      const bool is_free = end > 1e-9 && end < 1 - 1e-9;
      if (is_free) CHECK(std::abs(way[k] / w[k]) == doctest::Approx(lambda));
    }
  }
}

TEST_CASE("fab: refuses what is out of range") {
  CHECK_THROWS_WITH_AS(Fab({.steps = 0}), "fab: expected steps >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(Fab({.targets = 0}), "fab: expected targets >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(Fab({.alpha_max = 2}), "fab: expected alpha_max in [0, 1], got 2",
                       ValueError);
  CHECK_THROWS_WITH_AS(Fab({.eta = 0.5}), "fab: expected eta >= 1, got 0.5", ValueError);
  CHECK_THROWS_WITH_AS(Fab({.beta = 1}), "fab: expected beta in (0, 1), got 1", ValueError);
}

TEST_SUITE_END();
