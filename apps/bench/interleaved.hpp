#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <isotape/apps/bench/stopwatch.hpp>
#include <isotape/core/flop_count.hpp>

namespace isotape {

/// Something to be measured, in one or two phases. What before() does, and what is left over from
/// a call, is not timed.
struct Task {
  std::function<void()> before = {};    ///< prepares one call; may be absent
  std::function<void()> forward = {};   ///< the first phase
  std::function<void()> backward = {};  ///< the second phase; may be absent
};

/// Of one call of a phase.
struct Measured {
  Timing time;
  FlopCount flops;  ///< mean over the calls
};
struct TaskResult {
  Measured forward;
  Measured backward;
  Measured both;
  std::int64_t calls = 0;  ///< of one sample
};

/// Measures all tasks in turn, and that `repetitions` times, so that what disturbs the machine for
/// a while disturbs all of them. A sample is the mean of as many calls as fill `sample_ms` of CPU
/// time, found in a first call, which also warms caches and pools. Both phases of a call follow
/// each other.
std::vector<TaskResult> measure_interleaved(const std::vector<Task>& tasks,
                                            std::int64_t repetitions, double sample_ms = 2);

}  // namespace isotape
