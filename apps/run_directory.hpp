#pragma once

#include <filesystem>
#include <string>

#include <isotape/apps/run_config.hpp>
#include <isotape/datasets/dataset.hpp>
#include <isotape/layers/checkpoint.hpp>

namespace isotape {

/// The files of a run, by their names in its folder.
struct RunFiles {
  std::filesystem::path folder;
  std::filesystem::path config() const { return folder / "config.toml"; }
  std::filesystem::path metrics() const { return folder / "metrics.jsonl"; }
  std::filesystem::path model() const { return folder / "model.safetensors"; }
  std::filesystem::path state() const { return folder / "state.safetensors"; }
  std::filesystem::path environment() const { return folder / "env.json"; }
  std::filesystem::path report() const { return folder / "report.html"; }
};

/// Makes the folder of a new run: `out`, or runs/MODEL-DATASET-N with the first free N.
/// @throws UsageError  if `out` already holds a run; IoError if it cannot be made
RunFiles create_run(const std::string& out, const RunConfig& config);

/// The files of a finished or interrupted run.
/// @throws DataError  if the folder is missing or holds no run
RunFiles open_run(const std::string& folder);

/// The data set of a run, or another one if `dataset` or `data` say so; warnings go to stderr.
Dataset load_run_data(const RunConfig& config, const std::optional<std::string>& dataset,
                      const std::optional<std::string>& data);

/// A run with its model and the data to look at it with.
struct LoadedRun {
  RunFiles files;
  RunConfig config;
  Model model;
  Dataset data;
};

/// Loads a run for a command: on its own number of threads, with its own data set and folder,
/// unless told otherwise. Warnings go to stderr.
/// @throws DataError   if run or data are missing or corrupt
/// @throws ShapeError  if the data do not fit the model
LoadedRun load_run(const std::string& folder, const std::optional<std::string>& dataset,
                   const std::optional<std::string>& data,
                   const std::optional<std::int64_t>& threads);

}  // namespace isotape
