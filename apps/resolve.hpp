#pragma once

#include <string_view>

#include <isotape/apps/options.hpp>
#include <isotape/apps/run_config.hpp>
#include <isotape/datasets/registry.hpp>

namespace isotape {

/// What is known of a data set. @throws UsageError  listing the names
const DatasetInfo& dataset_info(std::string_view name);

/// Gives every setting its value: the chosen one, or the default for the data set. Defaults follow
/// [Li 2019] (the rate of retracted weights, 0.002, was chosen on held-out MNIST images): Adam,
/// 10^(-3(e-1)/E) times 0.001 in epoch e of E; multi-margin 1.5 sqrt(2) and radii 0.3, 1.58, for
/// images in colour 0.5 sqrt(2), 36/255, 72/255, 108/255, crops and flips.
///
/// @throws UsageError  for an unknown data set, a model file that is none, augmentation of points,
///                     or bf16 on a CPU without
RunConfig resolve(const TrainOptions& options);

/// @throws UsageError  if the precision is bf16 and the CPU has no instructions for it
void check_precision(std::string_view precision, bool cpu_has_bf16);

/// The configuration of a run that is continued: the stored one, with the folder of data and the
/// number of threads that this invocation names, if any.
/// @throws UsageError  as check_precision
RunConfig resume(RunConfig stored, const TrainOptions& options);

}  // namespace isotape
