// isotape train: configuration -> run directory.

#include <fmt/format.h>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include <isotape/apps/bench/stopwatch.hpp>
#include <isotape/apps/commands.hpp>
#include <isotape/apps/doctor.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/interrupt.hpp>
#include <isotape/apps/metrics.hpp>
#include <isotape/apps/model_file.hpp>
#include <isotape/apps/progress.hpp>
#include <isotape/apps/resolve.hpp>
#include <isotape/apps/run_directory.hpp>
#include <isotape/apps/run_report.hpp>
#include <isotape/apps/training.hpp>
#include <isotape/core/atomic_file.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

std::string environment_json(const RunConfig& config) {
  const Diagnosis diagnosis = diagnose();
  nlohmann::ordered_json json;
  for (const auto& [what, which] : diagnosis.versions) json["versions"][what] = which;
  json["processor"] = diagnosis.processor;
  json["instruction_sets"] = diagnosis.instruction_sets;
  json["cores"] = diagnosis.cores;
  json["bf16"] = diagnosis.has_bf16;
  json["precision"] = config.precision;
  json["threads"] = config.threads;
  for (const auto& [name, value] : diagnosis.environment) json["environment"][name] = value;
  return json.dump(2) + "\n";
}

std::string summary_line(const Evaluation& test, const std::vector<Eps>& eps) {
  std::string text = fmt::format("clean {:.2f} %", test.clean_accuracy);
  for (std::size_t i = 0; i < eps.size(); ++i) {
    text += fmt::format(", certified at {} {:.2f} %", eps[i].text, test.certified_accuracy[i]);
  }
  return text;
}

void save(const RunFiles& files, Training& training) {
  training.save_state(files.state());
  save_model(files.model(), training.model());
}

// From here on the folder holds a run that can be resumed; or nothing, if that fails.
void begin_run(const RunFiles& files, const RunConfig& config, Training& training) {
  try {
    save(files, training);
    write_file(files.environment(), environment_json(config));
    write_run_config(files.config(), config);
  } catch (...) {
    for (const auto& file : {files.state(), files.model(), files.environment(), files.config()}) {
      std::error_code ignored;
      std::filesystem::remove(file, ignored);
    }
    throw;
  }
}

// One run, from wherever it stands to its end or the next stop.
class Run {
 public:
  Run(RunConfig config, RunFiles files, Training& training, const TrainOptions& options)
      : config_(std::move(config)),
        files_(std::move(files)),
        training_(training),
        options_(options),
        progress_(options.quiet),
        log_(files_.metrics(), training.counters().step) {}

  // Whether the run is complete.
  bool go() {
    const std::int64_t stop_at = options_.max_steps
                                     ? training_.counters().step + *options_.max_steps
                                     : std::numeric_limits<std::int64_t>::max();
    watch_.lap();
    while (!training_.is_finished()) {
      step();
      if (is_interrupted()) {
        save(files_, training_);
        throw Interrupted(
            message("stopped at step ", training_.counters().step, " of ", training_.total_steps(),
                    "; continue with: isotape train --resume ", files_.folder.string()));
      }
      if (training_.counters().step >= stop_at && !training_.is_finished()) {
        save(files_, training_);
        return false;
      }
    }
    if (config_.select_on == "holdout") {
      training_.restore_best();
      save_model(files_.model(), training_.model());
      last_test_.reset();
    }
    return true;
  }

  // Of the last weights; made here unless the last epoch has just done it.
  Evaluation result() {
    if (last_test_) return *last_test_;
    return evaluate(training_.model(), training_.data().test, values(config_.eps));
  }

 private:
  void step() {
    const StepResult result = training_.step();
    const std::int64_t per_epoch = training_.steps_per_epoch();
    const std::int64_t epoch = (result.step - 1) / per_epoch + 1;
    progress_.step({epoch, config_.epochs, (result.step - 1) % per_epoch + 1, per_epoch,
                    result.images, result.loss});
    if (const auto loss = training_.take_recent_loss()) log_.append(result.step, *loss);
    if (config_.audit_every > 0 && result.step % config_.audit_every == 0) audit(result.step);
    if (result.epoch_ended) end_epoch(epoch, result.lr);
  }

  // Stops a run whose constraints do not hold, with its state saved.
  void audit(std::int64_t step) {
    const SelfAudit audit = self_audit(training_.model().net);
    log_.append(step, audit);
    for (const std::string& remedy : audit.remedies) {
      progress_.pause();
      progress_.line(fmt::format("step {}: {}", step, remedy));
    }
    if (!audit.drift) return;
    save(files_, training_);
    throw CheckError(message("step ", step, ": ", *audit.drift,
                             "; the run is saved, and stops because --audit-every ",
                             config_.audit_every, " asked for the check"));
  }

  void end_epoch(std::int64_t epoch, double lr) {
    progress_.pause();
    EpochMetrics metrics;
    const Duration trained = watch_.lap();
    metrics.time_train_s = 1e-3 * trained.wall_ms;
    metrics.time_train_cpu_s = 1e-3 * trained.cpu_ms;
    metrics.epoch = epoch;
    metrics.step = training_.counters().step;
    metrics.lr = lr;
    const EpochMeans means = training_.take_epoch_means();
    metrics.loss = means.loss;
    metrics.train_accuracy = means.accuracy;
    metrics.test = evaluate(training_.model(), training_.data().test, values(config_.eps));
    if (training_.holdout()) {
      metrics.holdout = evaluate(training_.model(), *training_.holdout(), values(config_.eps));
      training_.consider(metrics.holdout->clean_accuracy);
    }
    if (config_.orthogonal_update == "retract") {
      metrics.retraction_steps = {means.retraction_steps, means.most_retraction_steps};
    }
    for (const LowRank::Ratio& ratio : training_.variance_ratios()) {
      metrics.variance_ratios.emplace_back(ratio.layer, ratio.value);
    }
    metrics.time_eval_s = 1e-3 * watch_.lap().wall_ms;
    log_.append(metrics, config_.eps);
    save(files_, training_);
    std::string line = fmt::format("epoch {}/{}  loss {:.4f}  {}", epoch, config_.epochs,
                                   metrics.loss, summary_line(metrics.test, config_.eps));
    if (metrics.retraction_steps) {
      line += fmt::format("  retraction {:.2f} steps, at most {}", metrics.retraction_steps->mean,
                          metrics.retraction_steps->max);
    }
    progress_.line(line);
    last_test_ = std::move(metrics.test);
  }

  RunConfig config_;
  RunFiles files_;
  Training& training_;
  const TrainOptions& options_;
  Progress progress_;
  MetricsLog log_;
  Stopwatch watch_;
  std::optional<Evaluation> last_test_;
};

void print_result(const TrainOptions& options, const RunConfig& config, const RunFiles& files,
                  const Evaluation& test) {
  if (options.json) {
    nlohmann::ordered_json json = nlohmann::ordered_json::parse(to_json(test, config.eps));
    json["loss"] = TrainingLoss(config.loss, config.margin).description();
    json["run"] = files.folder.string();
    std::cout << json.dump() << '\n';
    return;
  }
  std::cout << fmt::format("{} on {}, {} epochs: {}\n", config.model, config.dataset, config.epochs,
                           summary_line(test, config.eps))
            << fmt::format("Lipschitz bound {:.9f}, mean certified radius {:.4f}\n",
                           test.lipschitz_bound, test.mean_certified_radius)
            << "run " << files.folder.string() << '\n';
}

}  // namespace

int run_train(const TrainOptions& options) {
  const bool resumes = !options.resume.empty();
  const RunConfig config = resumes
                               ? resume(read_run_config(open_run(options.resume).config()), options)
                               : resolve(options);
  set_num_threads(static_cast<int>(config.threads));
  // All files are opened and checked, and everything is built, before anything is written.
  Dataset data = load_run_data(config, std::nullopt, std::nullopt);
  const ModelSpec spec =
      config.layers.empty() ? find_model(config.model) : ModelSpec{config.model, config.layers};
  Training training(config, spec, std::move(data));
  const RunFiles files = resumes ? open_run(options.resume) : create_run(options.out, config);
  if (resumes) training.load_state(files.state());

  if (!resumes) begin_run(files, config, training);
  catch_interrupts();
  Run run(config, files, training, options);
  if (!run.go()) {
    std::cout << "stopped after step " << training.counters().step << " of "
              << training.total_steps() << "; continue with: isotape train --resume "
              << files.folder.string() << '\n';
    return exit_ok;
  }
  const Evaluation test = run.result();
  write_run_report(files, config, training.data(), test,
                   audit_run(config, training.model(), training.data()));
  print_result(options, config, files, test);
  return exit_ok;
}

}  // namespace isotape
