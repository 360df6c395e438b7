#include <doctest/doctest.h>

#include <isotape/apps/bench/stopwatch.hpp>
#include <isotape/core/error.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/bench/stopwatch");

TEST_CASE("stopwatch: laps are what passed, and no lap is negative") {
  Stopwatch watch;
  double sum = 0;
  for (int i = 1; i < 200'000; ++i) sum += 1.0 / i;
  const Duration work = watch.lap();
  const Duration nothing = watch.lap();
  CHECK(sum > 12);
  CHECK(work.cpu_ms > 0);
  CHECK(work.wall_ms > 0);
  CHECK(nothing.cpu_ms >= 0);
  CHECK(nothing.wall_ms >= 0);
}

TEST_CASE("timing_of: minimum and median, of either clock by itself") {
  const Timing odd = timing_of({{3, 10}, {1, 30}, {2, 20}});
  CHECK(odd.cpu_ms.min == 1);
  CHECK(odd.cpu_ms.median == 2);
  CHECK(odd.wall_ms.min == 10);
  CHECK(odd.wall_ms.median == 20);
  const Timing even = timing_of({{4, 4}, {1, 1}, {2, 2}, {8, 8}});
  CHECK(even.cpu_ms.median == 3);
  CHECK_THROWS_WITH_AS(timing_of({}), "timing_of: expected samples, got none", ValueError);
}

TEST_CASE("timing_of: rates follow the CPU time on one thread, what passed on several") {
  const Timing timing = timing_of({{5, 7}});
  CHECK(timing.best_ms(1) == 5);
  CHECK(timing.best_ms(2) == 7);
}

TEST_SUITE_END();
