#pragma once

#include <isotape/apps/options.hpp>

namespace isotape {

// The subcommands. Each prints its result to stdout, its progress to stderr, and returns the exit
// code; it throws what stops it.

int run_models(const ModelsOptions& options);
int run_layers(const LayersOptions& options);
int run_datasets(const DatasetsOptions& options);
int run_doctor(const DoctorOptions& options);
int run_train(const TrainOptions& options);
int run_eval(const EvalOptions& options);
int run_audit(const AuditOptions& options);
int run_certify(const CertifyOptions& options);
int run_export(const ExportOptions& options);
int run_verify(const VerifyOptions& options);
int run_bench(const BenchOptions& options);
int run_study(const StudyOptions& options);

}  // namespace isotape
