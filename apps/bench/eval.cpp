// isotape bench eval: images per second through the folded network.

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <isotape/apps/bench/bench_model.hpp>
#include <isotape/apps/bench/commands.hpp>
#include <isotape/apps/bench/process_memory.hpp>
#include <isotape/apps/bench/report.hpp>
#include <isotape/apps/resolve.hpp>
#include <isotape/apps/table.hpp>
#include <isotape/core/memory.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

struct EvalReport {
  RunConfig config;
  std::vector<std::int64_t> batches;
  std::vector<TaskResult> results;  // one per batch size
  Duration fold;                    // of all weights, once per version of them
  double peak_resident_mb = 0;
};

double images_per_s(const EvalReport& report, std::size_t i, int threads) {
  return 1e3 * static_cast<double>(report.batches[i]) /
         report.results[i].forward.time.best_ms(threads);
}

void print_json(const EvalReport& report, const BenchConditions& conditions) {
  const Roof roof = highest(conditions.before, conditions.after);
  nlohmann::ordered_json json = {{"benchmark", "eval"},
                                 {"model", report.config.model},
                                 {"dataset", report.config.dataset},
                                 {"fold_ms", report.fold.cpu_ms},
                                 {"peak_resident_mb", report.peak_resident_mb}};
  for (std::size_t i = 0; i < report.batches.size(); ++i) {
    const Measured& forward = report.results[i].forward;
    nlohmann::ordered_json row = {{"batch", report.batches[i]},
                                  {"images_per_s", images_per_s(report, i, roof.threads)},
                                  {"batch_ms", forward.time.best_ms(roof.threads)}};
    row.update(to_json(forward, roof));
    json["results"].push_back(std::move(row));
  }
  print_json(std::move(json), conditions);
}

void print_text(const EvalReport& report, const BenchConditions& conditions) {
  const Roof roof = highest(conditions.before, conditions.after);
  std::vector<std::vector<std::string>> rows = {measured_headings()};
  rows.front().insert(rows.front().begin(), {"batch", "images/s"});
  for (std::size_t i = 0; i < report.batches.size(); ++i) {
    std::vector<std::string> cells = measured_cells(report.results[i].forward, roof);
    cells.insert(cells.begin(), {std::to_string(report.batches[i]),
                                 fmt::format("{:.0f}", images_per_s(report, i, roof.threads))});
    rows.push_back(std::move(cells));
  }
  const std::string title =
      fmt::format("{} on images of {}, folded weights, {} thread{}\n\n", report.config.model,
                  report.config.dataset, roof.threads, roof.threads == 1 ? "" : "s");
  const std::string rest =
      fmt::format("\nfolding all weights, once: {} ms; peak memory: {:.1f} MB resident\n",
                  ms_text(report.fold.cpu_ms), report.peak_resident_mb);
  print_text(title + table(rows) + rest, conditions);
}

}  // namespace

int bench_eval(const BenchEvalOptions& options) {
  const RunConfig config = resolve(options.train);
  const int threads = static_cast<int>(config.threads);
  BenchConditions conditions;
  conditions.repetitions = options.repetitions;
  conditions.before = measure_roof(threads);

  reset_peak_resident();
  Model model = build_bench_model(config);
  Stopwatch watch;
  model.net.prepare();
  EvalReport report{config, options.batches, {}, watch.lap()};
  std::vector<Task> tasks;
  for (const std::int64_t batch : options.batches) {
    Rng rng(static_cast<std::uint64_t>(batch));
    const Tensor images = random_images(rng, model.input, batch);
    tasks.push_back({{}, [&model, images] { model.net.forward(images); }, {}});
  }
  report.results = measure_interleaved(tasks, options.repetitions);
  report.peak_resident_mb = peak_resident_mb();
  conditions.after = measure_roof(threads);
  options.json ? print_json(report, conditions) : print_text(report, conditions);
  return 0;
}

}  // namespace isotape
