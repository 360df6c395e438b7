#include <doctest/doctest.h>
#include <limits>

#include <isotape/apps/histogram.hpp>
#include <isotape/core/error.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/histogram");

TEST_CASE("histogram: counts every value once, the largest in the last bin") {
  const std::vector<double> values{3, 0, 1, 1, 2, 4};
  const Histogram h = histogram(values, 4);
  CHECK(h.lower == 0);
  CHECK(h.upper == 4);
  CHECK(h.counts == std::vector<std::int64_t>{1, 2, 1, 2});
}

TEST_CASE("histogram: equal values share the first bin") {
  const std::vector<double> values{1, 1, 1};
  CHECK(histogram(values, 3).counts == std::vector<std::int64_t>{3, 0, 0});
}

TEST_CASE("histogram: refuses no values, no bins and values that are not finite") {
  const std::vector<double> one{1};
  CHECK_THROWS_WITH_AS(histogram({}, 3),
                       "histogram: expected at least one value and one bin, got 0 and 3",
                       ValueError);
  CHECK_THROWS_WITH_AS(histogram(one, 0),
                       "histogram: expected at least one value and one bin, got 1 and 0",
                       ValueError);
  const std::vector<double> bad{1, std::numeric_limits<double>::infinity()};
  CHECK_THROWS_WITH_AS(histogram(bad), "histogram: expected finite values, got inf", ValueError);
}

TEST_SUITE_END();
