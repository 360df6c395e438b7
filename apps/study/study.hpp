#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/apps/progress.hpp>
#include <isotape/apps/study/page.hpp>
#include <isotape/datasets/dataset.hpp>

namespace isotape {

/// What makes two runs of a study equal, but for wall-clock times.
struct StudySettings {
  std::string dataset;
  std::int64_t seed = 0;
  std::int64_t threads = 1;
  bool full = false;  ///< the paper's scale
};

/// A cell of the grid or its result, as they stand in results.jsonl.
using StudyJson = nlohmann::ordered_json;

/// What the measurement of a cell may use.
struct StudyContext {
  const StudySettings& settings;
  const Dataset& data;
  /// To be called often: ends the cell, and the study, where a person stopped it.
  /// @throws Interrupted
  const std::function<void()>& check_interrupt;
  /// The study's own, for what cells share and a stopped run goes on from; empty: nothing is kept.
  std::filesystem::path folder = {};
};

/// A cell with what was measured in it.
struct StudyResult {
  StudyJson cell;
  StudyJson result;
};

/// An experiment: independent cells on a grid of parameters, each measured by itself, and a page
/// made of the results, of all cells or as many as there are.
struct Study {
  std::string_view name;
  std::string_view description;  ///< one line
  std::string_view help;         ///< what it measures, and how long that takes
  std::string_view dataset;      ///< unless another one is asked for; empty: it uses none
  std::vector<StudyJson> (*cells)(const StudySettings& settings);
  StudyJson (*measure)(const StudyJson& cell, const StudyContext& context);
  StudyPage (*page)(const std::vector<StudyResult>& results, const StudySettings& settings);
};

/// What an interrupted study of this folder was asked for, and its name.
/// @throws UsageError  if the folder holds no study
std::pair<const Study*, StudySettings> settings_of(const std::filesystem::path& folder);

/// The files of a study in its folder.
struct StudyFiles {
  std::filesystem::path folder;
  std::filesystem::path settings() const { return folder / "study.json"; }
  std::filesystem::path results() const { return folder / "results.jsonl"; }
  std::filesystem::path report() const { return folder / "report.html"; }
};

/// Makes the folder, or takes up the one of an interrupted study.
/// @throws UsageError  if it holds another study, or one with other settings
StudyFiles open_study(const Study& study, const StudySettings& settings,
                      const std::filesystem::path& folder);

/// Measures the cells that results.jsonl does not hold yet, in their order, and writes a line for
/// each at once; a last line that was cut is measured anew. The report is written at the end, and
/// when a person stops the study.
/// @param load         the data, called once if there is anything to measure
/// @param command      as typed, for the report
/// @throws Interrupted  saying how many cells there are
/// @throws DataError    if a line is no cell of the grid
std::vector<StudyResult> run_grid(const Study& study, const StudySettings& settings,
                                  const std::vector<StudyJson>& cells, const StudyFiles& files,
                                  const std::function<Dataset()>& load, const std::string& command,
                                  Progress& progress);

}  // namespace isotape
