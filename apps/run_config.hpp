#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/apps/options.hpp>
#include <isotape/core/dtype.hpp>

namespace isotape {

/// That of products: of "bf16", or of "f32".
inline Precision precision_named(std::string_view name) {
  return name == "bf16" ? Precision::bf16 : Precision::full;
}

/// The effective configuration of a run: every setting of train_settings.hpp with its value, as the
/// run's config.toml holds it. Two runs with equal configurations are equal.
struct RunConfig {
  std::string model;
  std::vector<LayerSpec> layers;  ///< of a model that has no known name; else empty
  std::string dataset;
  std::string data;  ///< folder, absolute; empty: the usual places
  std::int64_t data_seed = 0;
  std::string augment;    ///< "on" or "off"
  std::string select_on;  ///< "none" or "holdout"
  std::int64_t epochs = 0;
  std::int64_t batch = 0;
  std::string loss;  ///< what TrainingLoss reads
  double margin = 0;
  std::string low_rank = "none";  ///< what LowRank reads, or "none"
  std::string optimizer;          ///< what make_optimizer() reads
  double lr = 0;
  std::string schedule;           ///< what Schedule::parse() reads
  double clip_norm = 0;           ///< 0: none
  std::string orthogonal_update;  ///< "reparametrize" or "retract"
  std::string precision = "f32";  ///< or "bf16"
  std::int64_t audit_every = 0;   ///< steps; 0: never
  std::vector<Eps> eps;
  std::int64_t seed = 0;
  std::int64_t threads = 0;
  friend bool operator==(const RunConfig&, const RunConfig&) = default;

  /// Of the products that a training step records.
  Precision product_precision() const { return precision_named(precision); }
};

/// Text of config.toml, which `train --config` reads too.
std::string to_toml(const RunConfig& config);

/// Replaces the file, whole or not at all.
/// @throws IoError  if it cannot be written
void write_run_config(const std::filesystem::path& path, const RunConfig& config);

/// @throws DataError  `PATH:LINE:COLUMN: expected ..., got ...` if the file is missing, a setting
/// is
///                    missing, unknown or out of range
RunConfig read_run_config(const std::filesystem::path& path);

/// Sets what is unset in the options from a configuration, which may hold any of the settings. A
/// model that is set keeps the file's [[layer]] list out.
/// @throws UsageError  as read_run_config
void read_config(const std::filesystem::path& path, TrainOptions& options);

}  // namespace isotape
