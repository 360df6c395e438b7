#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <isotape/apps/bench/stopwatch.hpp>
#include <isotape/apps/run_config.hpp>
#include <isotape/core/flop_count.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/optim/optimizer.hpp>
#include <isotape/optim/training_loss.hpp>

namespace isotape {

/// A part of a training step: what it took, and the flops it counted.
struct StepPart {
  Duration time;
  FlopCount flops;
};

/// What a step asked for; in the steady state always the same.
struct StepCounts {
  std::int64_t tensor_allocations = 0;  ///< blocks of tensors asked of the system
  std::int64_t tensor_requests = 0;     ///< blocks of tensors handed out
  std::int64_t tensor_copies = 0;       ///< whole tensors copied, see note_copy()
  std::int64_t primitives_created = 0;  ///< by oneDNN
  std::int64_t reorders = 0;            ///< of weights, by oneDNN
  std::int64_t weights_made = 0;        ///< for the recording
  std::int64_t parallel_loops = 0;      ///< our own that more than one thread ran
};
StepCounts operator-(const StepCounts& a, const StepCounts& b);

/// One training step in its parts.
struct StepSample {
  StepPart weights;           ///< the weights of all layers, made from the raw parameters
  StepPart forward;           ///< activations and loss
  StepPart backward;          ///< of everything
  StepPart weights_backward;  ///< the part of it from the weights back to the raw parameters
  StepPart optimizer;         ///< the update, with the retraction where there is one
  StepPart whole;

  StepCounts counts;
  double loss = 0;
};

/// A model in training on random images of a data set's shape.
class TrainingStep {
 public:
  /// @param config  a training run, see resolve(); its data set gives the shapes alone
  explicit TrainingStep(const RunConfig& config);

  /// One step, on the next of a few batches.
  /// @throws NumericError  if a gradient is not finite or a raw weight lost its rank
  StepSample run();

  /// Makes the weights that evaluation needs, from the raw parameters as they are.
  void fold();

  const Model& model() const { return model_; }
  const RetractionStats& retractions() const { return optimizer_->retractions(); }
  /// Largest ratio of the singular values of a raw weight that is orthogonalized; 1 if there is
  /// none, or if all are kept on their manifold.
  double largest_kappa();

 private:
  struct Batch {
    Tensor images;
    std::vector<std::int32_t> labels;
  };
  Var make_loss(const Batch& batch) const;
  void make_weights();
  RunConfig config_;
  Model model_;
  ParameterList parameters_;
  TrainingLoss loss_;
  std::unique_ptr<Optimizer> optimizer_;
  std::vector<Batch> batches_;
  std::size_t next_ = 0;
};

}  // namespace isotape
