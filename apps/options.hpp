#pragma once

#include <cstdint>
#include <optional>
#include <string>
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
  std::optional<std::string> optimizer;
  std::optional<std::string> schedule;
  std::optional<double> clip_norm;
  std::optional<std::string> orthogonal_update;
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
  bool html = false;  ///< write the run's report.html anew
};

struct ExportOptions {
  std::string run;  ///< folder of a run, or a file that holds a model
  std::string to;   ///< format
  std::string out;
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

struct DoctorOptions {
  std::string data;
  std::optional<std::int64_t> threads;
  bool json = false;
};

}  // namespace isotape
