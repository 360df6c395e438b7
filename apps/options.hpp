#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <isotape/apps/eps.hpp>
#include <isotape/layers/model_spec.hpp>

namespace isotape {

// What the command line asks of each subcommand. Where a member is optional, unset means the
// default for the model, the data set or the run.

struct TrainOptions {
  // The settings of a run (see train_settings.hpp), as flags and --config give them.
  std::optional<std::string> model;  ///< a name, or FILE.toml
  std::vector<LayerSpec> layers;     ///< of a configuration that holds the model itself
  std::optional<std::string> dataset;
  std::optional<std::string> data;
  std::optional<std::int64_t> data_seed;
  std::optional<std::int64_t> epochs;
  std::optional<std::int64_t> batch;
  std::optional<double> lr;
  std::optional<std::string> loss;
  std::optional<double> margin;
  std::optional<std::string> low_rank;
  std::optional<std::string> optimizer;
  std::optional<std::string> schedule;
  std::optional<double> clip_norm;
  std::optional<std::string> orthogonal_update;
  std::optional<std::string> precision;
  std::optional<std::int64_t> audit_every;
  std::optional<std::string> augment;
  std::optional<std::string> select_on;
  std::optional<std::vector<Eps>> eps;
  std::optional<std::int64_t> seed;
  std::optional<std::int64_t> threads;

  // Of this invocation; not stored.
  std::string out;                        ///< empty: runs/MODEL-DATASET-N
  std::string resume;                     ///< a run to continue; then no setting is given
  std::optional<std::int64_t> max_steps;  ///< stop after so many, as if interrupted
  bool quiet = false;
  bool json = false;
};

struct EvalOptions {
  std::string run;
  std::optional<std::string> dataset;
  std::optional<std::string> data;
  std::optional<std::vector<Eps>> eps;
  std::optional<std::string> attack;  ///< what make_attacks() reads
  std::optional<std::int64_t> attack_images;
  std::optional<std::int64_t> attack_seed;
  std::optional<std::int64_t> batch;
  std::optional<std::int64_t> threads;
  bool json = false;
};

struct AuditOptions {
  std::string run;
  std::optional<std::string> dataset;
  std::optional<std::string> data;
  std::optional<std::int64_t> threads;
  bool json = false;
  bool html = false;    ///< write the run's report.html anew
  bool lipsdp = false;  ///< bound by diagonal multipliers, too
};

struct StudyOptions {
  std::string name;    ///< of a study
  std::string out;     ///< its folder; empty: runs/NAME
  std::string resume;  ///< the folder of a study to continue; then nothing else is asked for
  std::optional<std::string> dataset;
  std::optional<std::string> data;
  std::optional<std::int64_t> seed;
  std::optional<std::int64_t> threads;
  bool full = false;  ///< the paper's scale
  bool json = false;
};

struct CertifyOptions {
  std::string run;
  std::string out;  ///< the certificate
  std::optional<std::string> dataset;
  std::optional<std::string> data;
  std::optional<std::vector<Eps>> eps;
  std::optional<std::int64_t> images;  ///< of the test set, from its first on; unset: all
  std::optional<std::int64_t> threads;
  bool json = false;
};

struct ExportOptions {
  std::string run;  ///< folder of a run, or a file that holds a model
  std::string to;   ///< format
  std::string out;
  bool json = false;
};

struct VerifyOptions {
  std::string certificate;
  std::string weights;
  std::optional<std::string> data;
  bool json = false;
};

struct ModelsOptions {
  std::string name;  ///< empty: the list
  std::vector<std::int64_t> input = {28, 28, 1};
  std::int64_t classes = 10;
  bool toml = false;
  bool json = false;
};

struct LayersOptions {
  bool json = false;
};

struct DatasetsOptions {
  std::string data;
  bool json = false;
};

/// What is measured, and how often. Each benchmark has its defaults in bench_flags.cpp.
struct BenchStepOptions {
  TrainOptions train;  ///< model, dataset, batch, orthogonal_update, precision, seed, threads
  std::int64_t repetitions = 20;
  std::int64_t warmup = 10;  ///< steps before, which make the weights what training makes of them
  bool json = false;
};

struct BenchOrthogonalizeOptions {
  std::vector<std::vector<std::int64_t>> matrices;  ///< empty: the usual list
  std::vector<std::string> methods;                 ///< empty: all
  double kappa = 10;
  std::int64_t repetitions = 5;
  std::optional<std::int64_t> threads;
  bool json = false;
};

struct BenchOpsOptions {
  std::vector<std::string> ops;         ///< empty: all
  std::vector<std::string> precisions;  ///< of conv2d and affine; empty: f32
  std::int64_t batch = 128;
  std::int64_t repetitions = 10;
  std::optional<std::int64_t> threads;
  bool json = false;
};

struct BenchEvalOptions {
  TrainOptions train;  ///< model, dataset, seed, threads
  std::vector<std::int64_t> batches = {1, 32, 256};
  std::int64_t repetitions = 10;
  bool json = false;
};

struct BenchScalingOptions {
  TrainOptions train;         ///< as of a step, but for threads
  std::string work = "step";  ///< or "evaluation"
  std::vector<std::int64_t> threads = {1, 2};
  std::int64_t repetitions = 20;
  std::int64_t warmup = 10;
  bool json = false;
};

struct BenchOptions {
  std::variant<BenchStepOptions, BenchOpsOptions, BenchOrthogonalizeOptions, BenchEvalOptions,
               BenchScalingOptions>
      what;
};

struct DoctorOptions {
  std::string data;
  std::optional<std::int64_t> threads;
  bool json = false;
};

}  // namespace isotape
