#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include <isotape/ops/polar_map.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/polar_map");

namespace {

double value(int order, int steps, double s) {
  double h = 0;
  polar_quotients({steps, order, 1}, 1, &s, &h);
  return s * h;
}

int steps_to_one(int order, double s) {
  int steps = 1;
  while (std::abs(1 - value(order, steps, s)) >= 1e-6 && steps < 100) ++steps;
  return steps;
}

}  // namespace

TEST_CASE("polar_map: each order converges in the known number of steps") {
  const std::vector<double> starts = {0.9, 0.5, 0.2, 0.1, 0.01, 1e-3, 1e-4};
  const int expected[4][7] = {{3, 6, 8, 10, 15, 21, 27},
                              {2, 4, 5, 6, 10, 14, 17},
                              {2, 3, 4, 5, 8, 11, 14},
                              {2, 3, 4, 5, 7, 10, 12}};
  for (int order = 1; order <= 4; ++order) {
    for (std::size_t i = 0; i < starts.size(); ++i) {
      CAPTURE(order);
      CAPTURE(starts[i]);
      CHECK(steps_to_one(order, starts[i]) == expected[order - 1][i]);
    }
  }
}

TEST_CASE("polar_map: the steps are the polynomials of Bjorck and Bowie") {
  for (const double x : {0.0, 0.3, 0.9, 1.0, 1.4}) {
    const double x2 = x * x;
    CHECK(value(1, 1, x) == doctest::Approx(x * (1.5 - 0.5 * x2)));
    CHECK(value(2, 1, x) == doctest::Approx(x * (15 - 10 * x2 + 3 * x2 * x2) / 8));
    CHECK(value(3, 1, x) ==
          doctest::Approx(x * (35 - 35 * x2 + 21 * x2 * x2 - 5 * x2 * x2 * x2) / 16));
    CHECK(value(4, 1, x) ==
          doctest::Approx(
              x * (315 - 420 * x2 + 378 * x2 * x2 - 180 * x2 * x2 * x2 + 35 * x2 * x2 * x2 * x2) /
              128));
  }
}

TEST_CASE("polar_map: order 1 keeps [0, 2] within [-1, 1], and diverges beyond sqrt 5") {
  for (int i = 0; i <= 200; ++i) {
    for (const int steps : {1, 2, 7}) CHECK(std::abs(value(1, steps, 0.01 * i)) <= 1 + 1e-15);
  }
  CHECK(value(1, 30, 0) == 0);
  CHECK(std::abs(value(1, 9, 2.24)) > 5);
  CHECK_FALSE(std::isfinite(value(1, 40, 2.24)));
}

TEST_CASE("polar_map: the ranges of convergence are those of each order") {
  const double basin[4][2] = {{1.732, 1.7321}, {1.5275, 1.528}, {1.589, 1.5895}, {1.494, 1.4945}};
  for (int order = 1; order <= 4; ++order) {
    CAPTURE(order);
    CHECK(value(order, 100, basin[order - 1][0]) == doctest::Approx(1).epsilon(1e-12));
    CHECK_FALSE(std::abs(value(order, 100, basin[order - 1][1]) - 1) < 1e-12);
  }
}

TEST_CASE("polar_map: the divided differences are those of h, in the limit its derivative") {
  const std::vector<double> s = {1.3, 0.8, 0.5, 0.1, 0.0};
  const auto n = static_cast<std::int64_t>(s.size());
  for (int order = 1; order <= 4; ++order) {
    for (const int steps : {1, 2, 4}) {
      const PolarMap map{steps, order, 1.1};
      std::vector<double> h(s.size());
      std::vector<double> g(s.size() * s.size());
      polar_quotients(map, n, s.data(), h.data());
      polar_coefficients(map, n, s.data(), g.data());
      for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
          CAPTURE(order);
          CAPTURE(i);
          CAPTURE(j);
          const double a = s[i] * s[i];
          const double b = s[j] * s[j];
          if (i != j) {
            const double expected = (h[i] - h[j]) / (a - b);
            CHECK(g[i * n + j] == doctest::Approx(expected).epsilon(1e-10));
            continue;
          }
          const double near[2] = {std::sqrt(a + 1e-6), std::sqrt(std::max(a - 1e-6, 0.0))};
          double values[2];
          polar_quotients(map, 2, near, values);
          const double expected = (values[0] - values[1]) / (near[0] * near[0] - near[1] * near[1]);
          CHECK(g[i * n + i] == doctest::Approx(expected).epsilon(1e-3));
        }
      }
    }
  }
}

TEST_CASE("polar_map: the sign map vanishes at zero, with its differences") {
  const double s[3] = {2, 0.5, 0};
  double h[3];
  double g[9];
  polar_quotients({}, 3, s, h);
  polar_coefficients({}, 3, s, g);
  CHECK(h[0] == 0.5);
  CHECK(h[2] == 0);
  CHECK(g[1] == 1 / 2.5);
  CHECK(g[2] == 0.5);
  CHECK(g[8] == 0);
}

TEST_SUITE_END();
