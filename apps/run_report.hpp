#pragma once

#include <isotape/apps/audit_model.hpp>
#include <isotape/apps/evaluation.hpp>
#include <isotape/apps/run_directory.hpp>

namespace isotape {

/// Audits a run's model, with gradients of the run's loss on the first test images.
AuditReport audit_run(const RunConfig& config, Model& model, const Dataset& data);

/// Writes report.html of a run: its metrics, the evaluation of its last weights, and the audit.
/// @throws IoError, DataError
void write_run_report(const RunFiles& files, const RunConfig& config, const Dataset& data,
                      const Evaluation& test, const AuditReport& audit);

}  // namespace isotape
