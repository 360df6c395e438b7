#include <isotape/apps/resolve.hpp>

#include <cmath>
#include <filesystem>

#include <isotape/apps/argument.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/model_file.hpp>
#include <isotape/apps/suggestion.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/product_bf16.hpp>

namespace isotape {
namespace {

// What the defaults depend on.
enum class Domain : std::uint8_t { gray, colour, points };

Domain domain_of(const DatasetInfo& info) {
  if (info.image[0] * info.image[1] == 1) return Domain::points;
  return info.image[2] == 1 ? Domain::gray : Domain::colour;
}

std::string default_eps(Domain domain) {
  switch (domain) {
    case Domain::gray:
      return "0.3,1.58";
    case Domain::colour:
      return "36/255,72/255,108/255";
    case Domain::points:
      return "0.1,0.2";
  }
  return "";
}

double default_margin(Domain domain) {
  switch (domain) {
    case Domain::gray:
      return 1.5 * std::sqrt(2.0);
    case Domain::colour:
      return 0.5 * std::sqrt(2.0);
    case Domain::points:
      return 0.2 * std::sqrt(2.0);
  }
  return 1;
}

std::string resolved_augment(const std::string& chosen, Domain domain) {
  require<UsageError>(chosen != "on" || domain != Domain::points,
                      "--augment: expected off for points, which have no crops, got on");
  if (chosen == "auto") return domain == Domain::colour ? "on" : "off";
  return chosen;
}

std::string absolute(const std::string& folder) {
  return std::filesystem::absolute(folder).lexically_normal().string();
}

}  // namespace

const DatasetInfo& dataset_info(std::string_view name) {
  std::vector<std::string> names;
  std::string list;
  for (const DatasetInfo& info : dataset_infos()) {
    if (info.name == name) return info;
    names.push_back(info.name);
    list += (list.empty() ? "" : ", ") + info.name;
  }
  throw UsageError(
      message("dataset: expected one of ", list, ", got '", name, "'", did_you_mean(name, names)));
}

void check_precision(std::string_view precision, bool cpu_has_bf16) {
  require<UsageError>(precision != "bf16" || cpu_has_bf16,
                      "precision: expected f32 on a CPU without AVX512-BF16 or AMX, got bf16");
}

RunConfig resolve(const TrainOptions& options) {
  RunConfig config;
  config.model = options.model.value_or("bcop-small");
  config.layers = options.layers;
  if (config.layers.empty() && config.model.ends_with(".toml")) {
    ModelSpec spec = read_model_file(config.model);
    config.model = spec.name;
    config.layers = std::move(spec.layers);
  }
  config.dataset = options.dataset.value_or("fashion-mnist");
  const Domain domain = domain_of(dataset_info(config.dataset));
  if (options.data && !options.data->empty()) config.data = absolute(*options.data);
  config.data_seed = options.data_seed.value_or(0);
  config.augment = resolved_augment(options.augment.value_or("auto"), domain);
  config.select_on = options.select_on.value_or("none");
  config.epochs = options.epochs.value_or(5);
  config.batch = options.batch.value_or(128);
  config.loss = options.loss.value_or("multi-margin");
  config.margin = options.margin.value_or(default_margin(domain));
  config.low_rank = options.low_rank.value_or("none");
  config.audit_every = options.audit_every.value_or(0);
  config.optimizer = options.optimizer.value_or("adam");
  config.schedule = options.schedule.value_or("exponential");
  config.clip_norm = options.clip_norm.value_or(0);
  config.orthogonal_update = options.orthogonal_update.value_or("reparametrize");
  config.precision = options.precision.value_or("f32");
  check_precision(config.precision, cpu_has_bf16());
  config.lr = options.lr.value_or(config.orthogonal_update == "retract" ? 2e-3 : 1e-3);
  config.eps = options.eps ? *options.eps : parse_eps_list("eps", default_eps(domain));
  config.seed = options.seed.value_or(0);
  config.threads = options.threads.value_or(num_threads());
  return config;
}

RunConfig resume(RunConfig stored, const TrainOptions& options) {
  check_precision(stored.precision, cpu_has_bf16());
  if (options.data) stored.data = absolute(*options.data);
  if (options.threads) stored.threads = *options.threads;
  return stored;
}

}  // namespace isotape
