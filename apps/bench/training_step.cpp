#include <isotape/apps/bench/training_step.hpp>

#include <algorithm>
#include <limits>

#include <isotape/apps/bench/bench_model.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/memory.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/layers/bcop.hpp>
#include <isotape/layers/weight.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/optim/make_optimizer.hpp>

namespace isotape {
namespace {

// Enough that no step sees the batch it has just been trained on.
constexpr std::size_t batch_count = 4;

// Time and flops since the last lap.
class PartWatch {
 public:
  StepPart lap() {
    const FlopCount flops = flop_count();
    const StepPart part{watch_.lap(), flops - flops_};
    flops_ = flops;
    return part;
  }

 private:
  FlopCount flops_ = flop_count();
  Stopwatch watch_;
};

StepPart sum(std::initializer_list<StepPart> parts) {
  StepPart total;
  for (const StepPart& part : parts) {
    total.time += part.time;
    total.flops = total.flops + part.flops;
  }
  return total;
}

StepCounts counts_so_far() {
  const MemoryStats memory = memory_stats();
  const Conv2dCounters convolutions = conv2d_counters();
  return {memory.system_allocations,
          memory.requests,
          memory.copies,
          convolutions.primitives_created,
          convolutions.reorders,
          weight_counters().recorded,
          parallel_regions()};
}

}  // namespace

StepCounts operator-(const StepCounts& a, const StepCounts& b) {
  return {a.tensor_allocations - b.tensor_allocations,
          a.tensor_requests - b.tensor_requests,
          a.tensor_copies - b.tensor_copies,
          a.primitives_created - b.primitives_created,
          a.reorders - b.reorders,
          a.weights_made - b.weights_made,
          a.parallel_loops - b.parallel_loops};
}

TrainingStep::TrainingStep(const RunConfig& config)
    : config_(config),
      model_(build_bench_model(config)),
      parameters_(model_.net.parameters()),
      loss_(config.loss, config.margin) {
  loss_.check(model_.net);
  if (config.orthogonal_update == "retract") {
    for (const auto& [name, weight] : model_.net.weights()) {
      if (!std::holds_alternative<Unconstrained>(weight->parametrization())) weight->retract();
    }
  }
  optimizer_ = make_optimizer(config.optimizer, parameters_);
  Rng rng = Rng(static_cast<std::uint64_t>(config.seed)).stream("batches");
  for (std::size_t i = 0; i < batch_count; ++i) {
    Batch batch{random_images(rng, model_.input, config.batch), {}};
    for (std::int64_t n = 0; n < config.batch; ++n) {
      batch.labels.push_back(
          static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(model_.classes))));
    }
    batches_.push_back(std::move(batch));
  }
}

Var TrainingStep::make_loss(const Batch& batch) const {
  return loss_(model_.net, batch.images, batch.labels, Rng(0)).loss;
}

// All of them, also the kernels that a BCOP layer makes of its matrices when it is first asked.
void TrainingStep::make_weights() {
  model_.net.prepare();
  for (const Sequential::Part& part : model_.net.parts()) {
    if (const auto* bcop = dynamic_cast<const BcopConv2d*>(part.module.get())) bcop->kernel();
  }
}

StepSample TrainingStep::run() {
  const Batch& batch = batches_[next_++ % batches_.size()];
  StepSample sample;
  const StepCounts before = counts_so_far();
  PartWatch watch;
  {
    Tape tape(config_.product_precision());
    make_weights();
    sample.weights = watch.lap();
    const std::size_t first_of_forward = tape.size();
    const Var loss = make_loss(batch);
    sample.loss = loss.value().item();
    sample.forward = watch.lap();
    bool at_weights = false;
    StepPart of_net;
    tape.backward(loss, {}, {.visit = [&](std::size_t node) {
                    if (node < first_of_forward && !at_weights) {
                      of_net = watch.lap();
                      at_weights = true;
                    }
                  }});
    sample.weights_backward = watch.lap();
    sample.backward = sum({of_net, sample.weights_backward});
    optimizer_->step(config_.lr);
  }  // what the tape still holds is given back within the step
  sample.optimizer = watch.lap();
  sample.whole = sum({sample.weights, sample.forward, sample.backward, sample.optimizer});
  sample.counts = counts_so_far() - before;
  return sample;
}

void TrainingStep::fold() {
  const Paused paused;
  model_.net.prepare();
}

double TrainingStep::largest_kappa() {
  double largest = 1;
  for (const auto& [name, weight] : model_.net.weights()) {
    if (!std::holds_alternative<Bjorck>(weight->parametrization()) || weight->raw.manifold)
      continue;
    const Tensor& raw = weight->raw.value();
    const Shape matrix = matrix_shape(raw.shape());
    const Tensor matrices =
        raw.reshaped({raw.size() / (matrix[-2] * matrix[-1]), matrix[-2], matrix[-1]});
    for (std::int64_t b = 0; b < matrices.dim(0); ++b) {
      const std::vector<double> sigma =
          singular_values(matrices.rows(b, b + 1).reshaped({matrix[-2], matrix[-1]}));
      largest = std::max(largest, sigma.back() > 0 ? sigma.front() / sigma.back()
                                                   : std::numeric_limits<double>::infinity());
    }
  }
  return largest;
}

}  // namespace isotape
