// isotape bench scaling: one training step, or one evaluation, on different numbers of threads.

#include <fmt/format.h>
#include <algorithm>
#include <nlohmann/json.hpp>

#include <isotape/apps/bench/bench_model.hpp>
#include <isotape/apps/bench/commands.hpp>
#include <isotape/apps/bench/report.hpp>
#include <isotape/apps/bench/training_step.hpp>
#include <isotape/apps/resolve.hpp>
#include <isotape/apps/table.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

struct ScalingReport {
  RunConfig config;
  std::string work;
  std::vector<std::int64_t> threads;
  std::vector<Timing> times;  // one per number of threads

  // Against the first number of threads, in time that passed.
  double speedup(std::size_t i) const { return times[0].wall_ms.min / times[i].wall_ms.min; }
  double median_speedup(std::size_t i) const {
    return times[0].wall_ms.median / times[i].wall_ms.median;
  }
  double efficiency(std::size_t i) const {
    return speedup(i) * static_cast<double>(threads[0]) / static_cast<double>(threads[i]);
  }
};

void print_json(const ScalingReport& report, const BenchConditions& conditions) {
  nlohmann::ordered_json json = {
      {"benchmark", "scaling"},       {"work", report.work},
      {"model", report.config.model}, {"dataset", report.config.dataset},
      {"batch", report.config.batch}, {"orthogonal_update", report.config.orthogonal_update}};
  for (std::size_t i = 0; i < report.threads.size(); ++i) {
    nlohmann::ordered_json row = {{"threads", report.threads[i]}};
    row.update(to_json(report.times[i]));
    row["speedup"] = report.speedup(i);
    row["median_speedup"] = report.median_speedup(i);
    row["efficiency"] = report.efficiency(i);
    json["results"].push_back(std::move(row));
  }
  print_json(std::move(json), conditions);
}

void print_text(const ScalingReport& report, const BenchConditions& conditions) {
  std::vector<std::vector<std::string>> rows = {
      {"threads", "wall ms", "median", "cpu ms", "median", "speed-up", "of medians", "efficiency"}};
  for (std::size_t i = 0; i < report.threads.size(); ++i) {
    const Timing& time = report.times[i];
    rows.push_back({std::to_string(report.threads[i]), ms_text(time.wall_ms.min),
                    ms_text(time.wall_ms.median), ms_text(time.cpu_ms.min),
                    ms_text(time.cpu_ms.median), fmt::format("{:.2f}", report.speedup(i)),
                    fmt::format("{:.2f}", report.median_speedup(i)),
                    fmt::format("{:.0f}%", 100 * report.efficiency(i))});
  }
  const std::string title = fmt::format("one {} of {} on images of {}, batch {}, {}\n\n",
                                        report.work, report.config.model, report.config.dataset,
                                        report.config.batch, report.config.orthogonal_update);
  print_text(title + table(rows) + "\nspeed-up and efficiency: of the time that passed\n",
             conditions);
}

// What is repeated, from weights that warmup steps have moved from their start.
std::function<void()> work_of(const BenchScalingOptions& options, TrainingStep& step) {
  if (options.work == "step") return [&step] { step.run(); };
  Rng rng(1);
  step.fold();
  return [&model = step.model(),
          images = random_images(rng, step.model().input, options.train.batch.value_or(128))] {
    model.net.forward(images);
  };
}

}  // namespace

int bench_scaling(const BenchScalingOptions& options) {
  const RunConfig config = resolve(options.train);
  const int most =
      static_cast<int>(*std::max_element(options.threads.begin(), options.threads.end()));
  TrainingStep step(config);
  BenchConditions conditions;
  conditions.repetitions = options.repetitions;
  conditions.before = measure_roof(most);

  for (std::int64_t i = 0; i < options.warmup; ++i) step.run();
  const std::function<void()> work = work_of(options, step);
  std::vector<std::vector<Duration>> samples(options.threads.size());
  for (std::int64_t round = -1; round < options.repetitions; ++round) {  // round -1 warms up
    for (std::size_t i = 0; i < samples.size(); ++i) {
      set_num_threads(static_cast<int>(options.threads[i]));
      Stopwatch watch;
      work();
      const Duration taken = watch.lap();
      if (round >= 0) samples[i].push_back(taken);
    }
  }
  conditions.after = measure_roof(most);
  ScalingReport report{config, options.work, options.threads, {}};
  for (const auto& taken : samples) report.times.push_back(timing_of(taken));
  options.json ? print_json(report, conditions) : print_text(report, conditions);
  return 0;
}

}  // namespace isotape
