#include <isotape/apps/bench/stopwatch.hpp>

#include <algorithm>
#include <ctime>
#include <utility>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

double read_ms(clockid_t clock) {
  timespec time{};
  require<Error>(::clock_gettime(clock, &time) == 0, "stopwatch: expected clock ", clock,
                 " to be readable");
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

Statistic statistic(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {values.front(), median};
}

}  // namespace

Duration operator-(const Duration& a, const Duration& b) {
  return {a.cpu_ms - b.cpu_ms, a.wall_ms - b.wall_ms};
}

Duration operator/(const Duration& a, double divisor) {
  return {a.cpu_ms / divisor, a.wall_ms / divisor};
}

Duration& operator+=(Duration& a, const Duration& b) {
  a.cpu_ms += b.cpu_ms;
  a.wall_ms += b.wall_ms;
  return a;
}

Duration now() { return {read_ms(CLOCK_PROCESS_CPUTIME_ID), read_ms(CLOCK_MONOTONIC)}; }

Duration Stopwatch::lap() {
  const Duration time = now();
  return time - std::exchange(start_, time);
}

Timing timing_of(const std::vector<Duration>& samples) {
  require<ValueError>(!samples.empty(), "timing_of: expected samples, got none");
  std::vector<double> cpu;
  std::vector<double> wall;
  for (const Duration& sample : samples) {
    cpu.push_back(sample.cpu_ms);
    wall.push_back(sample.wall_ms);
  }
  return {statistic(std::move(cpu)), statistic(std::move(wall))};
}

}  // namespace isotape
