#include <isotape/apps/bench/report.hpp>

#include <fmt/format.h>
#include <iostream>
#include <nlohmann/json.hpp>

namespace isotape {
namespace {

double gflops(const Measured& measured, const Roof& roof) {
  return 1e-6 * measured.flops.total() / measured.time.best_ms(roof.threads);
}

}  // namespace

nlohmann::ordered_json to_json(const Timing& timing) {
  return {{"cpu_ms", {{"min", timing.cpu_ms.min}, {"median", timing.cpu_ms.median}}},
          {"wall_ms", {{"min", timing.wall_ms.min}, {"median", timing.wall_ms.median}}}};
}

nlohmann::ordered_json to_json(const Measured& measured, const Roof& roof) {
  nlohmann::ordered_json json = to_json(measured.time);
  json["gflop"] = 1e-9 * measured.flops.total();
  json["gflops"] = gflops(measured, roof);
  json["share_of_roof"] = share_of_roof(measured, roof);
  return json;
}

std::vector<std::string> measured_headings() {
  return {"cpu ms", "median", "wall ms", "median", "GFLOP", "GFLOP/s", "of roof"};
}

std::vector<std::string> measured_cells(const Measured& measured, const Roof& roof) {
  const Timing& time = measured.time;
  std::vector<std::string> cells = {ms_text(time.cpu_ms.min), ms_text(time.cpu_ms.median),
                                    ms_text(time.wall_ms.min), ms_text(time.wall_ms.median)};
  if (measured.flops.total() > 0) {
    cells.push_back(fmt::format("{:.4f}", 1e-9 * measured.flops.total()));
    cells.push_back(fmt::format("{:.1f}", gflops(measured, roof)));
    cells.push_back(fmt::format("{:.0f}%", 100 * share_of_roof(measured, roof)));
  } else {
    cells.insert(cells.end(), 3, "");
  }
  return cells;
}

std::string ms_text(double ms) {
  return fmt::format("{:.{}f}", ms, ms >= 100 ? 1 : ms >= 1 ? 2 : 4);
}

void print_json(nlohmann::ordered_json json, const BenchConditions& conditions) {
  json["threads"] = conditions.before.threads;
  json["repetitions"] = conditions.repetitions;
  json["roof"] = to_json(conditions.before, conditions.after);
  std::cout << json.dump(2) << '\n';
}

void print_text(const std::string& text, const BenchConditions& conditions) {
  const int threads = conditions.before.threads;
  std::cout
      << text << '\n'
      << to_text(highest(conditions.before, conditions.after))
      << fmt::format(
             "ms: minimum and median of {} interleaved repetitions; rates and shares from the "
             "minimum of {}\n",
             conditions.repetitions, threads == 1 ? "the CPU time" : "the time that passed");
}

}  // namespace isotape
