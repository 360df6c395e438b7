#pragma once

#include <string>
#include <vector>

namespace isotape {

/// What a piece of work took.
struct Duration {
  double cpu_ms = 0;   ///< CPU time of the process, all threads together, user and system
  double wall_ms = 0;  ///< time that passed
};
Duration operator-(const Duration& a, const Duration& b);
Duration operator/(const Duration& a, double divisor);
Duration& operator+=(Duration& a, const Duration& b);

/// The time now, since an arbitrary moment.
Duration now();

/// Laps: each call of lap() tells what passed since the last one (or since construction).
class Stopwatch {
 public:
  Duration lap();

 private:
  Duration start_ = now();
};

/// Of repetitions of one measurement.
struct Statistic {
  double min = 0;
  double median = 0;
};
struct Timing {
  Statistic cpu_ms;
  Statistic wall_ms;

  /// The figure that rates are computed from: the minimum of the CPU time on one thread, which
  /// other processes hardly disturb; on several threads that of the time that passed.
  double best_ms(int threads) const { return threads == 1 ? cpu_ms.min : wall_ms.min; }
};

/// @throws ValueError  if there are no samples
Timing timing_of(const std::vector<Duration>& samples);

}  // namespace isotape
