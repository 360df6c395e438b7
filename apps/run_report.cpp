#include <isotape/apps/run_report.hpp>

#include <fmt/format.h>
#include <algorithm>
#include <span>

#include <isotape/apps/audit_text.hpp>
#include <isotape/apps/doctor.hpp>
#include <isotape/apps/metrics.hpp>
#include <isotape/apps/report.hpp>
#include <isotape/optim/training_loss.hpp>

namespace isotape {
namespace {

constexpr std::int64_t audited_images = 128;

BatchLoss loss_of(const RunConfig& config) {
  return [loss = TrainingLoss(config.loss, config.margin)](const Var& logits,
                                                           std::span<const std::int32_t> labels) {
    return loss.of_logits(logits, labels);
  };
}

void add_metrics(ReportData& report, const LoggedMetrics& metrics) {
  for (const auto& epoch : metrics.epochs) {
    report.epochs.push_back(
        {epoch.epoch, epoch.loss, epoch.clean_accuracy, epoch.certified_accuracy});
  }
  if (metrics.epochs.empty()) return;
  const auto per_epoch =
      static_cast<double>(metrics.epochs[0].step) / static_cast<double>(metrics.epochs[0].epoch);
  for (const auto& [step, loss] : metrics.losses) {
    report.loss.push_back({static_cast<double>(step) / per_epoch, loss});
  }
}

void add_facts(ReportData& report, const RunConfig& config) {
  report.facts = {{"batch", std::to_string(config.batch)},
                  {"loss", TrainingLoss(config.loss, config.margin).description()},
                  {"low-rank representations", config.low_rank},
                  {"optimizer", fmt::format("{}, rate {}", config.optimizer, config.lr)},
                  {"schedule", config.schedule},
                  {"orthogonal weights", config.orthogonal_update},
                  {"augmentation", config.augment},
                  {"threads", std::to_string(config.threads)}};
  const Diagnosis diagnosis = diagnose();
  report.facts.insert(report.facts.end(), diagnosis.versions.begin(), diagnosis.versions.end());
  report.facts.emplace_back("processor", diagnosis.processor);
}

}  // namespace

AuditReport audit_run(const RunConfig& config, Model& model, const Dataset& data) {
  const std::int64_t count = std::min(audited_images, data.test.size());
  return audit_model(model, data.test.pixels(0, count),
                     std::span(data.test.labels).first(static_cast<std::size_t>(count)),
                     loss_of(config));
}

void write_run_report(const RunFiles& files, const RunConfig& config, const Dataset& data,
                      const Evaluation& test, const AuditReport& audit) {
  ReportData report;
  report.model = config.model;
  report.dataset = data.name;
  report.command = "isotape train --config " + files.config().string();
  report.seed = config.seed;
  report.notes = data.warnings;
  if (config.select_on == "holdout") {
    report.epoch = "the epoch that was best on training images set aside";
  }
  report.test_images = test.images;
  report.clean_accuracy = test.clean_accuracy;
  for (const Eps& eps : config.eps) report.eps.push_back(eps.text);
  report.certified_accuracy = test.certified_accuracy;
  report.mean_radius = test.mean_certified_radius;
  report.radii = test.radii;
  add_facts(report, config);
  add_metrics(report, read_metrics(files.metrics()));
  add_audit(report, audit);
  write_report(files.report(), report);
}

}  // namespace isotape
