#pragma once

#include <isotape/apps/options.hpp>

namespace isotape {

// The subcommands of `isotape bench`. Each prints its result to stdout and returns the exit code.

int bench_step(const BenchStepOptions& options);
int bench_ops(const BenchOpsOptions& options);
int bench_orthogonalize(const BenchOrthogonalizeOptions& options);
int bench_eval(const BenchEvalOptions& options);
int bench_scaling(const BenchScalingOptions& options);

}  // namespace isotape
