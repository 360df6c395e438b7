// isotape bench ops: the hot operations of training, pass by pass.

#include <fmt/format.h>
#include <algorithm>
#include <nlohmann/json.hpp>

#include <isotape/apps/bench/commands.hpp>
#include <isotape/apps/bench/op_cases.hpp>
#include <isotape/apps/bench/report.hpp>
#include <isotape/apps/resolve.hpp>
#include <isotape/apps/table.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/product_bf16.hpp>

namespace isotape {
namespace {

// One line of the report.
struct Pass {
  const OpCase& of;
  std::string name;
  Measured measured;
  double bytes;  // 0: the limit is not the memory

  double ms(const Roof& roof) const { return measured.time.best_ms(roof.threads); }
  double gflops(const Roof& roof) const { return 1e-6 * measured.flops.total() / ms(roof); }
  double gb_s(const Roof& roof) const { return 1e-6 * bytes / ms(roof); }
  double share(const Roof& roof) const {
    return bytes > 0 ? gb_s(roof) / roof.all.copy_gb_s(bytes) : share_of_roof(measured, roof);
  }
};

std::vector<Pass> passes_of(const std::vector<OpCase>& cases,
                            const std::vector<TaskResult>& results) {
  std::vector<Pass> passes;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const OpCase& one = cases[i];
    const TaskResult& result = results[i];
    if (!one.forward.empty()) {
      passes.push_back({one, one.forward, result.forward, one.forward_bytes});
    }
    if (!one.backward.empty()) {
      passes.push_back({one, one.backward, result.backward, one.backward_bytes});
    }
  }
  return passes;
}

void print_json(const BenchOpsOptions& options, const std::vector<Pass>& passes,
                const BenchConditions& conditions) {
  const Roof roof = highest(conditions.before, conditions.after);
  nlohmann::ordered_json json = {{"benchmark", "ops"}, {"batch", options.batch}};
  for (const Pass& pass : passes) {
    nlohmann::ordered_json row = {{"op", pass.of.op},
                                  {"operands", pass.of.operands},
                                  {"pass", pass.name},
                                  {"ms", pass.ms(roof)}};
    row.update(to_json(pass.measured.time));
    if (pass.bytes > 0) {
      row["gb_s"] = pass.gb_s(roof);
    } else {
      row["gflop"] = 1e-9 * pass.measured.flops.total();
      row["gflops"] = pass.gflops(roof);
    }
    row["share_of_roof"] = pass.share(roof);
    json["results"].push_back(std::move(row));
  }
  print_json(std::move(json), conditions);
}

void print_text(const BenchOpsOptions& options, const std::vector<Pass>& passes,
                const BenchConditions& conditions) {
  const Roof roof = highest(conditions.before, conditions.after);
  std::vector<std::vector<std::string>> rows = {{"op", "pass", "operands", "cpu ms", "median",
                                                 "wall ms", "median", "GFLOP/s", "GB/s",
                                                 "of roof"}};
  for (const Pass& pass : passes) {
    const std::vector<std::string> cells = measured_cells(pass.measured, roof);
    const bool moves = pass.bytes > 0;
    rows.push_back({pass.of.op, pass.name, pass.of.operands, cells[0], cells[1], cells[2], cells[3],
                    moves ? "" : fmt::format("{:.1f}", pass.gflops(roof)),
                    moves ? fmt::format("{:.1f}", pass.gb_s(roof)) : "",
                    fmt::format("{:.0f}%", 100 * pass.share(roof))});
  }
  const std::string title = fmt::format("operations at batch {}, {} thread{}\n\n", options.batch,
                                        roof.threads, roof.threads == 1 ? "" : "s");
  print_text(title + table(rows), conditions);
}

std::vector<Precision> precisions(const BenchOpsOptions& options) {
  std::vector<Precision> list;
  for (const std::string& name : options.precisions) {
    check_precision(name, cpu_has_bf16());
    list.push_back(precision_named(name));
  }
  return list.empty() ? std::vector{Precision::full} : list;
}

}  // namespace

int bench_ops(const BenchOpsOptions& options) {
  const int threads = static_cast<int>(options.threads.value_or(num_threads()));
  set_num_threads(threads);
  std::vector<OpCase> cases = op_cases(options.batch, precisions(options));
  const auto& chosen = options.ops;
  std::erase_if(cases, [&](const OpCase& one) {
    return !chosen.empty() && std::find(chosen.begin(), chosen.end(), one.op) == chosen.end();
  });
  std::vector<Task> tasks;
  tasks.reserve(cases.size());
  for (const OpCase& one : cases) tasks.push_back(one.task);
  BenchConditions conditions;
  conditions.repetitions = options.repetitions;
  conditions.before = measure_roof(threads);
  const std::vector<TaskResult> results = measure_interleaved(tasks, options.repetitions);
  conditions.after = measure_roof(threads);
  const std::vector<Pass> passes = passes_of(cases, results);
  options.json ? print_json(options, passes, conditions) : print_text(options, passes, conditions);
  return 0;
}

}  // namespace isotape
