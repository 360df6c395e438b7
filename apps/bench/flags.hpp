#pragma once

#include <CLI/CLI.hpp>

#include <isotape/apps/options.hpp>

namespace isotape {

/// The command line of `isotape bench`: what it may measure, each with flags of its own. Without a
/// subcommand the flags are those of `step`.
class BenchFlags {
 public:
  void add(CLI::App& app);
  /// What was asked for, once parsed.
  /// @throws UsageError  if flags stand before the subcommand, which would not read them
  BenchOptions take();

 private:
  CLI::App* app_ = nullptr;
  BenchStepOptions default_step_;
  BenchStepOptions step_;
  BenchOpsOptions ops_;
  BenchOrthogonalizeOptions orthogonalize_;
  BenchEvalOptions eval_;
  BenchScalingOptions scaling_;
};

}  // namespace isotape
