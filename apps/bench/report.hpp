#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include <isotape/apps/bench/interleaved.hpp>
#include <isotape/apps/bench/roof.hpp>

namespace isotape {

/// {"cpu_ms": {"min", "median"}, "wall_ms": {"min", "median"}}
nlohmann::ordered_json to_json(const Timing& timing);
/// The same with what was counted: "gflop", "gflops" (per second) and "share_of_roof".
nlohmann::ordered_json to_json(const Measured& measured, const Roof& roof);

/// Headings and cells of a table: times in ms, GFLOP, GFLOP/s and the share of the roof in percent.
std::vector<std::string> measured_headings();
std::vector<std::string> measured_cells(const Measured& measured, const Roof& roof);

/// With as many digits as the value deserves.
std::string ms_text(double ms);

/// Adds what every benchmark ends its report with, and prints it: the roof, threads, repetitions.
struct BenchConditions {
  Roof before;
  Roof after;
  std::int64_t repetitions = 0;
};
void print_json(nlohmann::ordered_json json, const BenchConditions& conditions);
void print_text(const std::string& text, const BenchConditions& conditions);

}  // namespace isotape
