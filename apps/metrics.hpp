#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <isotape/apps/eps.hpp>
#include <isotape/apps/evaluation.hpp>
#include <isotape/layers/self_audit.hpp>

namespace isotape {

/// What a run notes at the end of an epoch. Times are the only ones that differ
/// between two equal runs.
struct EpochMetrics {
  std::int64_t epoch = 0;
  std::int64_t step = 0;
  double lr = 0;
  double loss = 0;
  double train_accuracy = 0;  ///< percent, under the weights of each step
  Evaluation test;
  std::optional<Evaluation> holdout;
  /// Order-1 steps per matrix and update.
  struct RetractionSteps {
    double mean = 0;
    std::int64_t max = 0;
  };
  std::optional<RetractionSteps> retraction_steps;
  /// Of layers with low-rank representations: name and share of the variance in r directions.
  std::vector<std::pair<std::string, double>> variance_ratios;
  double time_train_s = 0;
  double time_train_cpu_s = 0;  ///< of all threads together
  double time_eval_s = 0;
};

/// Evaluation as one JSON object, accuracies in percent by the text of their eps.
std::string to_json(const Evaluation& evaluation, const std::vector<Eps>& eps);

/// The lines of metrics.jsonl, each flushed at once: one per epoch, and some 200 of the loss alone.
class MetricsLog {
 public:
  /// Opens the file for appending; lines of steps after `last_step` are dropped first, for they are
  /// made anew by a resumed run, and so is a last line that was cut.
  /// @throws IoError, DataError
  MetricsLog(const std::filesystem::path& path, std::int64_t last_step);
  void append(const EpochMetrics& metrics, const std::vector<Eps>& eps);
  /// Mean loss of the steps up to this one since the last such line.
  void append(std::int64_t step, double loss);
  /// What the network found out about its own constraints.
  void append(std::int64_t step, const SelfAudit& audit);

 private:
  void write(const std::string& line);
  std::filesystem::path path_;
  std::ofstream file_;
};

/// What a report needs of the lines.
struct LoggedMetrics {
  struct Epoch {
    std::int64_t epoch = 0;
    std::int64_t step = 0;
    double loss = 0;
    double clean_accuracy = 0;
    std::vector<double> certified_accuracy;  ///< by the eps of the run
  };
  std::vector<Epoch> epochs;
  std::vector<std::pair<std::int64_t, double>> losses;  ///< step and mean loss up to it
};
/// @throws DataError  if a line is not such JSON, but for a last one that was cut
LoggedMetrics read_metrics(const std::filesystem::path& path);

}  // namespace isotape
