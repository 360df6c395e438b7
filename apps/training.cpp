#include <isotape/apps/training.hpp>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include <isotape/core/error.hpp>
#include <isotape/core/safetensors.hpp>
#include <isotape/layers/weight.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/optim/clip.hpp>
#include <isotape/optim/make_optimizer.hpp>

namespace isotape {
namespace {

constexpr std::int64_t holdout_images = 5000;
constexpr std::int64_t measured_images = 1000;
constexpr const char* counters_key = "isotape.counters";
constexpr const char* model_key = "isotape.model";

std::int64_t count_correct(const Tensor& logits, const std::vector<std::int32_t>& labels) {
  const std::int64_t classes = logits.dim(1);
  const auto* data = logits.data<float>();
  std::int64_t correct = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const float* row = data + static_cast<std::int64_t>(i) * classes;
    correct += std::max_element(row, row + classes) - row == labels[i] ? 1 : 0;
  }
  return correct;
}

LoaderOptions loader_options(const RunConfig& config) {
  LoaderOptions options;
  options.batch = config.batch;
  if (config.augment == "on") {
    options.crop_padding = 4;
    options.flip = true;
  }
  return options;
}

}  // namespace

Training::Training(const RunConfig& config, const ModelSpec& spec, Dataset data)
    : config_(config),
      rng_(static_cast<std::uint64_t>(config.seed)),
      data_(std::move(data)),
      model_(build_model(spec, data_.image_shape(), data_.classes(), rng_)),
      parameters_(model_.net.parameters()),
      schedule_(Schedule::parse(config.schedule)),
      loss_(config.loss, config.margin) {
  loss_.check(model_.net);
  if (config.low_rank != "none") {
    low_rank_.emplace(config.low_rank, model_.net, model_.input, rng_.stream("low-rank"));
  }
  if (config.orthogonal_update == "retract") {
    for (const auto& [name, weight] : model_.net.weights()) {
      // Refused by what is no factor of raw; a free weight has no manifold to stay on.
      if (!std::holds_alternative<Unconstrained>(weight->parametrization())) weight->retract();
    }
  }
  optimizer_ = make_optimizer(config.optimizer, parameters_);
  Split train = data_.train;
  if (config.select_on == "holdout") {
    auto [kept, aside] = hold_out(train, holdout_images, rng_.stream("holdout"));
    train = std::move(kept);
    holdout_ = std::move(aside);
  }
  loader_ = std::make_unique<BatchLoader>(std::move(train), rng_.stream("batches"),
                                          loader_options(config));
}

StepResult Training::step() {
  const Batch& batch = loader_->next();
  StepResult result{counters_.step + 1, batch.images.dim(0), 0, 0, false};
  result.lr =
      config_.lr * schedule_.factor(counters_.step, loader_->batches_per_epoch(), config_.epochs);
  try {
    Tape tape(config_.product_precision());
    model_.net.prepare();
    const Rng noise = rng_.stream("loss").stream(static_cast<std::uint64_t>(result.step));
    const Watch watch(low_rank_ ? low_rank_->modules() : std::vector<const Module*>());
    const double progress = static_cast<double>(result.step) / static_cast<double>(total_steps());
    const auto [loss, logits] = loss_(model_.net, batch.images, batch.labels, noise, progress);
    const Var value = low_rank_ ? add(loss, low_rank_->loss(watch)) : loss;
    result.loss = value.value().item();
    require<NumericError>(std::isfinite(result.loss), "expected a finite loss, got ", result.loss);
    tape.backward(value);
    if (config_.clip_norm > 0) clip_grad_norm(parameters_, config_.clip_norm);
    optimizer_->step(result.lr);
    if (low_rank_) low_rank_->step(result.step, result.lr / config_.lr);
    const RetractionStats& retractions = optimizer_->last_retractions();
    counters_.retracted += retractions.matrices;
    counters_.retraction_steps += retractions.steps;
    counters_.most_retraction_steps =
        std::max(counters_.most_retraction_steps, std::int64_t{retractions.max_steps});
    counters_.correct += count_correct(logits.value(), batch.labels);
  } catch (const NumericError& error) {
    throw NumericError(message("step ", result.step, ": ", error.what()));
  }
  counters_.step = result.step;
  counters_.recent_loss_sum += result.loss;
  ++counters_.recent_steps;
  counters_.loss_sum += result.loss * static_cast<double>(result.images);
  counters_.seen += result.images;
  result.epoch_ended = counters_.step % loader_->batches_per_epoch() == 0;
  model_.net.project(counters_.step, result.epoch_ended);
  return result;
}

std::optional<double> Training::take_recent_loss() {
  constexpr std::int64_t points = 200;
  if (counters_.recent_steps < (total_steps() + points - 1) / points) return std::nullopt;
  const double mean = counters_.recent_loss_sum / static_cast<double>(counters_.recent_steps);
  counters_.recent_loss_sum = 0;
  counters_.recent_steps = 0;
  return mean;
}

EpochMeans Training::take_epoch_means() {
  const auto mean = [](double sum, std::int64_t count) {
    return sum / static_cast<double>(std::max<std::int64_t>(count, 1));
  };
  const EpochMeans means{mean(counters_.loss_sum, counters_.seen),
                         mean(100 * static_cast<double>(counters_.correct), counters_.seen),
                         mean(static_cast<double>(counters_.retraction_steps), counters_.retracted),
                         counters_.most_retraction_steps};
  counters_.loss_sum = 0;
  counters_.seen = 0;
  counters_.correct = 0;
  counters_.retracted = 0;
  counters_.retraction_steps = 0;
  counters_.most_retraction_steps = 0;
  return means;
}

std::vector<LowRank::Ratio> Training::variance_ratios() const {
  if (!low_rank_) return {};
  const std::int64_t count = std::min(measured_images, data_.test.size());
  return low_rank_->variance_ratios(model_.net, data_.test.pixels(0, count));
}

void Training::consider(double holdout_accuracy) {
  if (holdout_accuracy <= counters_.best_accuracy) return;
  counters_.best_accuracy = holdout_accuracy;
  counters_.best_epoch = epoch();
  best_.clear();
  for (const auto& [name, parameter] : parameters_) best_.push_back(parameter->value().clone());
  for (const auto& [name, tensor] : model_.net.buffers()) best_.push_back(tensor->clone());
}

void Training::restore_best() {
  if (best_.empty()) return;
  std::size_t i = 0;
  for (const auto& [name, parameter] : parameters_) parameter->write() = best_[i++].clone();
  for (const auto& [name, tensor] : model_.net.buffers()) *tensor = best_[i++].clone();
}

// Calls visit(name, value, set) for every tensor of the state, set(t) replacing the value.
template <class Visit>
void Training::visit_state(Visit&& visit) {
  std::size_t kept = 0;
  const auto visit_kept = [&](const std::string& name, const Tensor& value, const auto& set) {
    visit(name, value, set);
    if (counters_.best_epoch > 0) {
      best_.resize(std::max(best_.size(), kept + 1));
      Tensor& best = best_[kept++];
      visit("best." + name, best ? best : value, [&](Tensor t) { best = std::move(t); });
    }
  };
  for (const auto& [name, parameter] : parameters_) {
    visit_kept("parameter." + name, parameter->value(),
               [p = parameter](Tensor t) { p->write() = std::move(t); });
  }
  for (const auto& [name, tensor] : model_.net.buffers()) {
    visit_kept("buffer." + name, *tensor, [b = tensor](Tensor t) { *b = std::move(t); });
  }
  BufferList moments;
  optimizer_->collect("optimizer.", moments);
  for (const auto& [name, tensor] : moments) {
    visit(name, *tensor, [b = tensor](Tensor t) { *b = std::move(t); });
  }
  if (!low_rank_) return;
  for (const auto& [name, parameter] : low_rank_->parameters()) {
    visit("low-rank." + name, parameter->value(),
          [p = parameter](Tensor t) { p->write() = std::move(t); });
  }
}

void Training::save_state(const std::filesystem::path& path) {
  SafeTensors file;
  visit_state([&](const std::string& name, const Tensor& value, const auto&) {
    file.tensors[name] = value;
  });
  const nlohmann::json counters = {{"step", counters_.step},
                                   {"recent_loss_sum", counters_.recent_loss_sum},
                                   {"recent_steps", counters_.recent_steps},
                                   {"loss_sum", counters_.loss_sum},
                                   {"seen", counters_.seen},
                                   {"correct", counters_.correct},
                                   {"retracted", counters_.retracted},
                                   {"retraction_steps", counters_.retraction_steps},
                                   {"most_retraction_steps", counters_.most_retraction_steps},
                                   {"best_epoch", counters_.best_epoch},
                                   {"best_accuracy", counters_.best_accuracy}};
  file.metadata = {{counters_key, counters.dump()}, {model_key, to_json(model_.spec)}};
  save_safetensors(path, file);
}

void Training::load_state(const std::filesystem::path& path) {
  const SafeTensors file = load_safetensors(path);
  try {
    const auto counters = nlohmann::json::parse(file.metadata.at(counters_key));
    counters_ = {counters.at("step"),
                 counters.at("recent_loss_sum"),
                 counters.at("recent_steps"),
                 counters.at("loss_sum"),
                 counters.at("seen"),
                 counters.at("correct"),
                 counters.at("retracted"),
                 counters.at("retraction_steps"),
                 counters.at("most_retraction_steps"),
                 counters.at("best_accuracy"),
                 counters.at("best_epoch")};
  } catch (const std::exception&) {
    throw DataError(message(path.string(), ": expected the counters of a run in its metadata, ",
                            "found none; was it written by isotape train?"));
  }
  require<DataError>(0 <= counters_.step && counters_.step <= total_steps(), path.string(),
                     ": expected a step in 0..", total_steps(), ", found ", counters_.step);
  std::size_t count = 0;
  visit_state([&](const std::string& name, const Tensor& like, const auto& set) {
    const auto found = file.tensors.find(name);
    require<DataError>(found != file.tensors.end(), path.string(), ": expected a tensor '", name,
                       "', found none");
    const Tensor& tensor = found->second;
    require<DataError>(tensor.shape() == like.shape() && tensor.dtype() == like.dtype(),
                       path.string(), ": ", name, ": expected shape ", like.shape(), " and type ",
                       like.dtype(), ", found ", tensor.shape(), " and ", tensor.dtype());
    require<DataError>(all_finite(tensor), path.string(), ": ", name,
                       ": expected finite values, found NaN or infinity");
    set(tensor);
    ++count;
  });
  require<DataError>(count == file.tensors.size(), path.string(), ": expected ", count,
                     " tensors, found ", file.tensors.size());
  const std::int64_t per_epoch = loader_->batches_per_epoch();
  loader_->seek({counters_.step / per_epoch, counters_.step % per_epoch});
}

}  // namespace isotape
