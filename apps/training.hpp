#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <isotape/apps/evaluation.hpp>
#include <isotape/apps/run_config.hpp>
#include <isotape/datasets/loader.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/optim/low_rank.hpp>
#include <isotape/optim/optimizer.hpp>
#include <isotape/optim/schedule.hpp>
#include <isotape/optim/training_loss.hpp>

namespace isotape {

/// Means over an epoch.
struct EpochMeans {
  double loss = 0;
  double accuracy = 0;          ///< percent, on the training images, under the weights of each step
  double retraction_steps = 0;  ///< order-1 steps per matrix and update
  std::int64_t most_retraction_steps = 0;  ///< for one matrix in one update
};

/// What one training step did.
struct StepResult {
  std::int64_t step = 0;  ///< counted from 1 over the whole run
  std::int64_t images = 0;
  double loss = 0;
  double lr = 0;
  bool epoch_ended = false;
};

/// Sums over the epoch in progress and since the last noted loss, and the best epoch so far where
/// one is selected.
struct TrainingCounters {
  std::int64_t step = 0;
  double recent_loss_sum = 0;
  std::int64_t recent_steps = 0;
  double loss_sum = 0;
  std::int64_t seen = 0;
  std::int64_t correct = 0;
  std::int64_t retracted = 0;              ///< matrices moved on their manifold
  std::int64_t retraction_steps = 0;       ///< order-1 steps that took them back to it
  std::int64_t most_retraction_steps = 0;  ///< for one matrix in one update
  double best_accuracy = -1;               ///< percent on the hold-out
  std::int64_t best_epoch = 0;
};

/// A model in training: parameters, optimizer, batches and their place. Knows nothing of run
/// directories and prints nothing.
class Training {
 public:
  /// @throws ValueError, ShapeError  if model, data and configuration do not fit
  Training(const RunConfig& config, const ModelSpec& spec, Dataset data);

  Model& model() { return model_; }
  const Dataset& data() const { return data_; }
  const std::optional<Split>& holdout() const { return holdout_; }
  const TrainingCounters& counters() const { return counters_; }
  std::int64_t steps_per_epoch() const { return loader_->batches_per_epoch(); }
  std::int64_t total_steps() const { return steps_per_epoch() * config_.epochs; }
  /// Epochs completed.
  std::int64_t epoch() const { return counters_.step / steps_per_epoch(); }
  bool is_finished() const { return counters_.step >= total_steps(); }

  /// One step. @throws NumericError  if the loss or a gradient is not finite, or a raw weight lost
  /// its rank, naming the step
  StepResult step();
  /// Mean loss since this was last asked, at the points where a run notes it: some 200 times.
  std::optional<double> take_recent_loss();
  /// Means of the epoch that just ended; starts the next sums.
  EpochMeans take_epoch_means();

  /// Of the layers with low-rank representations, in the folded net; none without them.
  std::vector<LowRank::Ratio> variance_ratios() const;

  /// Notes the hold-out accuracy of the epoch that just ended and keeps its parameters if they are
  /// the best so far.
  void consider(double holdout_accuracy);
  /// Replaces the parameters by those of the best epoch.
  void restore_best();

  /// All that a resumed run needs to continue bit for bit.
  void save_state(const std::filesystem::path& path);
  /// @throws DataError  if the file is none, was cut, holds NaN, or belongs to another model
  void load_state(const std::filesystem::path& path);

 private:
  template <class Visit>
  void visit_state(Visit&& visit);
  RunConfig config_;
  Rng rng_;
  Dataset data_;
  std::optional<Split> holdout_;
  Model model_;
  ParameterList parameters_;
  std::unique_ptr<Optimizer> optimizer_;
  Schedule schedule_;
  TrainingLoss loss_;
  std::optional<LowRank> low_rank_;
  std::unique_ptr<BatchLoader> loader_;
  TrainingCounters counters_;
  std::vector<Tensor> best_;  // one per parameter and buffer, absent until an epoch is considered
};

}  // namespace isotape
