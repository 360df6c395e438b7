#include <isotape/apps/bench/interleaved.hpp>

#include <algorithm>
#include <cmath>

namespace isotape {
namespace {

struct Phase {
  std::vector<Duration> samples;
  FlopCount flops;

  Measured result(double calls) const {
    return {timing_of(samples),
            {flops.f32 / calls, flops.f64 / calls, flops.convolution / calls, flops.bf16 / calls}};
  }
};

// One task on its way through the rounds.
class Series {
 public:
  explicit Series(const Task& task) : task_(task) {
    call();
    const auto [forward, backward] = call();
    const double once = forward.cpu_ms + backward.cpu_ms;
    first_call_ms_ = std::max(once, 1e-4);
  }

  void choose_calls(double sample_ms) {
    calls_ =
        std::clamp<std::int64_t>(std::llround(std::ceil(sample_ms / first_call_ms_)), 1, 10000);
  }

  void sample() {
    Duration forward;
    Duration backward;
    for (std::int64_t i = 0; i < calls_; ++i) {
      const auto [one, other] = call();
      forward += one;
      backward += other;
    }
    const auto count = static_cast<double>(calls_);
    Duration both = forward;
    both += backward;
    forward_.samples.push_back(forward / count);
    backward_.samples.push_back(backward / count);
    both_.samples.push_back(both / count);
    all_calls_ += calls_;
  }

  TaskResult result() const {
    const auto calls = static_cast<double>(all_calls_ + warm_calls);
    Phase both = both_;
    both.flops = forward_.flops + backward_.flops;
    return {forward_.result(calls), backward_.result(calls), both.result(calls), calls_};
  }

 private:
  static constexpr std::int64_t warm_calls = 2;

  std::pair<Duration, Duration> call() {
    if (task_.before) task_.before();
    const FlopCount at_start = flop_count();
    Stopwatch watch;
    task_.forward();
    const Duration forward = watch.lap();
    const FlopCount between = flop_count();
    Duration backward;
    if (task_.backward) {
      watch.lap();
      task_.backward();
      backward = watch.lap();
    }
    forward_.flops = forward_.flops + (between - at_start);
    backward_.flops = backward_.flops + (flop_count() - between);
    return {forward, backward};
  }

  const Task& task_;
  double first_call_ms_ = 0;
  std::int64_t calls_ = 1;
  std::int64_t all_calls_ = 0;
  Phase forward_;
  Phase backward_;
  Phase both_;
};

}  // namespace

std::vector<TaskResult> measure_interleaved(const std::vector<Task>& tasks,
                                            std::int64_t repetitions, double sample_ms) {
  std::vector<Series> all;
  all.reserve(tasks.size());
  for (const Task& task : tasks) {
    all.emplace_back(task).choose_calls(sample_ms);
  }
  for (std::int64_t i = 0; i < repetitions; ++i) {
    for (Series& series : all) series.sample();
  }
  std::vector<TaskResult> results;
  results.reserve(all.size());
  for (const Series& series : all) results.push_back(series.result());
  return results;
}

}  // namespace isotape
