// isotape bench step: one training step of a model, in its parts.

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <isotape/apps/bench/commands.hpp>
#include <isotape/apps/bench/process_memory.hpp>
#include <isotape/apps/bench/report.hpp>
#include <isotape/apps/bench/training_step.hpp>
#include <isotape/apps/resolve.hpp>
#include <isotape/apps/table.hpp>
#include <isotape/core/memory.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

struct Part {
  const char* key;
  const char* heading;
  StepPart StepSample::*member;
};
constexpr Part parts[] = {{"step", "step", &StepSample::whole},
                          {"weights", "  weights", &StepSample::weights},
                          {"forward", "  forward", &StepSample::forward},
                          {"backward", "  backward", &StepSample::backward},
                          {"weights_backward", "    of the weights", &StepSample::weights_backward},
                          {"optimizer", "  optimizer", &StepSample::optimizer}};

Measured measured(const std::vector<StepSample>& samples, StepPart StepSample::*member) {
  std::vector<Duration> times;
  FlopCount flops;
  for (const StepSample& sample : samples) {
    times.push_back((sample.*member).time);
    flops = flops + (sample.*member).flops;
  }
  const auto count = static_cast<double>(samples.size());
  return {timing_of(times),
          {flops.f32 / count, flops.f64 / count, flops.convolution / count, flops.bf16 / count}};
}

struct Count {
  const char* key;
  std::int64_t StepCounts::*member;
};
constexpr Count counts[] = {{"tensor_allocations", &StepCounts::tensor_allocations},
                            {"tensor_requests", &StepCounts::tensor_requests},
                            {"tensor_copies", &StepCounts::tensor_copies},
                            {"primitives_created", &StepCounts::primitives_created},
                            {"reorders", &StepCounts::reorders},
                            {"weights_made", &StepCounts::weights_made},
                            {"parallel_loops", &StepCounts::parallel_loops}};

// Per step, the mean: a whole number in the steady state.
double mean(const std::vector<StepSample>& samples, std::int64_t StepCounts::*member) {
  double sum = 0;
  for (const StepSample& sample : samples) sum += static_cast<double>(sample.counts.*member);
  return sum / static_cast<double>(samples.size());
}

struct StepReport {
  RunConfig config;
  std::int64_t warmup;
  std::vector<StepSample> samples;
  double peak_resident_mb;
  double peak_tensors_mb;
  double kappa;
  RetractionStats retractions;  // since the first step
};

void print_json(const StepReport& report, const BenchConditions& conditions) {
  const Roof roof = highest(conditions.before, conditions.after);
  nlohmann::ordered_json json = {{"benchmark", "step"},
                                 {"model", report.config.model},
                                 {"dataset", report.config.dataset},
                                 {"batch", report.config.batch},
                                 {"orthogonal_update", report.config.orthogonal_update},
                                 {"precision", report.config.precision},
                                 {"warmup", report.warmup}};
  // The figures most looked for, flat; all of them by part.
  for (const Part& part : parts) {
    json[std::string(part.key) + "_ms"] =
        measured(report.samples, part.member).time.best_ms(roof.threads);
  }
  const Measured whole = measured(report.samples, &StepSample::whole);
  json["gflop"] = 1e-9 * whole.flops.total();
  json["gflops"] = 1e-6 * whole.flops.total() / whole.time.best_ms(roof.threads);
  for (const Part& part : parts) {
    json["parts"][part.key] = to_json(measured(report.samples, part.member), roof);
  }
  for (const Count& count : counts) json[count.key] = mean(report.samples, count.member);
  json["peak_resident_mb"] = report.peak_resident_mb;
  json["peak_tensors_mb"] = report.peak_tensors_mb;
  json["largest_kappa"] = report.kappa;
  if (report.config.orthogonal_update == "retract") {
    json["retraction_steps"] = {{"mean", report.retractions.mean_steps()},
                                {"max", report.retractions.max_steps},
                                {"exact", report.retractions.exact}};
  }
  print_json(std::move(json), conditions);
}

std::string in_words(const StepReport& report) {
  const auto of = [&](std::int64_t StepCounts::*member) { return mean(report.samples, member); };
  std::string text = fmt::format(
      "per step: {:g} allocations, {:g} requests and {:g} copies of tensors; {:g} weights made; "
      "{:g} "
      "primitives created, {:g} reorders; {:g} parallel loops\n"
      "peak memory: {:.1f} MB resident, {:.1f} MB of it tensors\n",
      of(&StepCounts::tensor_allocations), of(&StepCounts::tensor_requests),
      of(&StepCounts::tensor_copies), of(&StepCounts::weights_made),
      of(&StepCounts::primitives_created), of(&StepCounts::reorders),
      of(&StepCounts::parallel_loops), report.peak_resident_mb, report.peak_tensors_mb);
  if (report.config.orthogonal_update == "retract") {
    text += fmt::format(
        "retraction: {:.2f} steps of order 1 per matrix and update, at most {}; {} by the "
        "spectrum\n",
        report.retractions.mean_steps(), report.retractions.max_steps, report.retractions.exact);
  } else {
    text += fmt::format("largest kappa of a raw matrix: {:.1f}\n", report.kappa);
  }
  return text;
}

void print_text(const StepReport& report, const BenchConditions& conditions) {
  const Roof roof = highest(conditions.before, conditions.after);
  std::vector<std::vector<std::string>> rows = {measured_headings()};
  rows.front().insert(rows.front().begin(), "part");
  for (const Part& part : parts) {
    std::vector<std::string> cells = measured_cells(measured(report.samples, part.member), roof);
    cells.insert(cells.begin(), part.heading);
    rows.push_back(std::move(cells));
  }
  const std::string title = fmt::format(
      "{} on images of {}, batch {}, {}, {}, {} thread{}, after {} steps\n\n", report.config.model,
      report.config.dataset, report.config.batch, report.config.orthogonal_update,
      report.config.precision, roof.threads, roof.threads == 1 ? "" : "s", report.warmup);
  print_text(title + table(rows) + '\n' + in_words(report), conditions);
}

}  // namespace

int bench_step(const BenchStepOptions& options) {
  const RunConfig config = resolve(options.train);
  const auto threads = static_cast<int>(config.threads);
  TrainingStep step(config);
  BenchConditions conditions;
  conditions.repetitions = options.repetitions;
  conditions.before = measure_roof(threads);

  reset_peak_resident();
  reset_peak_memory();
  StepReport report{config, options.warmup, {}, 0, 0, 1, {}};
  report.samples.reserve(static_cast<std::size_t>(options.repetitions));
  for (std::int64_t i = 0; i < options.warmup; ++i) step.run();
  for (std::int64_t i = 0; i < options.repetitions; ++i) report.samples.push_back(step.run());
  report.peak_resident_mb = peak_resident_mb();
  report.peak_tensors_mb = 1e-6 * static_cast<double>(memory_stats().peak_bytes);

  conditions.after = measure_roof(threads);
  report.retractions = step.retractions();
  if (config.orthogonal_update != "retract") report.kappa = step.largest_kappa();
  options.json ? print_json(report, conditions) : print_text(report, conditions);
  return 0;
}

}  // namespace isotape
