#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/ops/roundoff.hpp>

#include "support/exact_svd.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("ops/roundoff");

TEST_CASE("up, down: beyond the exact result of one operation") {
  Rng rng(3);
  for (int trial = 0; trial < 1000; ++trial) {
    const double a = std::exp2(200 * rng.uniform() - 100) * (1 + rng.uniform());
    const double b = std::exp2(200 * rng.uniform() - 100) * (1 + rng.uniform());
    const Exact product = Exact(a) * b;
    CHECK(roundoff::up(a * b) > product);
    CHECK(roundoff::down(a * b) < product);
    CHECK(roundoff::up(a / b) > Exact(a) / b);
    CHECK(roundoff::down(std::sqrt(a)) < sqrt(Exact(a)));
    CHECK(roundoff::up(a + b) > Exact(a) + b);
  }
}

TEST_CASE("gamma, sum_up: above the error of a sum in any order") {
  CHECK(roundoff::gamma(0) == 0);
  CHECK(roundoff::gamma(1 << 20) > (1 << 20) * 0x1p-53);
  CHECK(roundoff::gamma(std::int64_t{1} << 52) == roundoff::infinity);
  Rng rng(4);
  for (const int terms : {1, 2, 10, 1000}) {
    for (int trial = 0; trial < 20; ++trial) {
      std::vector<double> values(terms);
      for (double& value : values) value = std::exp2(20 * rng.uniform());
      double forward = 0;
      double backward = 0;
      Exact exact = 0;
      for (int i = 0; i < terms; ++i) {
        forward += values[i];
        backward += values[terms - 1 - i];
        exact += values[i];
      }
      CHECK(roundoff::sum_up(forward, terms) >= exact);
      CHECK(roundoff::sum_up(backward, terms) >= exact);
      CHECK(roundoff::sum_up(forward, terms) <= exact * (1 + Exact(4.0 * (terms + 8) * 0x1p-53)));
    }
  }
}

TEST_SUITE_END();
