// isotape bench: which of the benchmarks.

#include <variant>

#include <isotape/apps/bench/commands.hpp>
#include <isotape/apps/commands.hpp>

namespace isotape {
namespace {

int run(const BenchStepOptions& options) { return bench_step(options); }
int run(const BenchOpsOptions& options) { return bench_ops(options); }
int run(const BenchOrthogonalizeOptions& options) { return bench_orthogonalize(options); }
int run(const BenchEvalOptions& options) { return bench_eval(options); }
int run(const BenchScalingOptions& options) { return bench_scaling(options); }

}  // namespace

int run_bench(const BenchOptions& options) {
  return std::visit([](const auto& what) { return run(what); }, options.what);
}

}  // namespace isotape
