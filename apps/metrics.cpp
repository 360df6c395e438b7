#include <isotape/apps/metrics.hpp>

#include <nlohmann/json.hpp>
#include <sstream>

#include <isotape/core/atomic_file.hpp>
#include <isotape/core/error.hpp>

namespace isotape {
namespace {

using Json = nlohmann::ordered_json;

Json certified(const Evaluation& evaluation, const std::vector<Eps>& eps) {
  Json object = Json::object();
  for (std::size_t i = 0; i < eps.size(); ++i) {
    object[eps[i].text] = evaluation.certified_accuracy[i];
  }
  return object;
}

// Calls f(line, json) for every line; not for a last one that was cut while it was written, by a
// full disk or a crash: its step comes again when the run is resumed.
template <class F>
void for_each_line(const std::filesystem::path& path, F&& f) {
  std::ifstream file(path);
  std::size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    try {
      f(line, Json::parse(line));
    } catch (const Json::exception&) {
      if (file.eof()) return;
      throw DataError(message(path.string(), ": line ", number,
                              ": expected the metrics of an epoch in JSON, found '",
                              line.substr(0, 40), "'"));
    }
  }
}

}  // namespace

std::string to_json(const Evaluation& evaluation, const std::vector<Eps>& eps) {
  const Json json = {{"images", evaluation.images},
                     {"clean_accuracy", evaluation.clean_accuracy},
                     {"certified_accuracy", certified(evaluation, eps)},
                     {"mean_certified_radius", evaluation.mean_certified_radius},
                     {"lipschitz_bound", evaluation.lipschitz_bound}};
  return json.dump();
}

MetricsLog::MetricsLog(const std::filesystem::path& path, std::int64_t last_step) : path_(path) {
  if (std::filesystem::exists(path)) {
    std::string kept;
    for_each_line(path, [&](const std::string& line, const Json& json) {
      if (json.at("step").get<std::int64_t>() <= last_step) kept += line + '\n';
    });
    write_file(path, kept);
  }
  file_.open(path, std::ios::app);
  require<IoError>(file_.good(), path.string(), ": expected a file that can be written");
}

void MetricsLog::append(const EpochMetrics& m, const std::vector<Eps>& eps) {
  Json json = {{"epoch", m.epoch},
               {"step", m.step},
               {"lr", m.lr},
               {"loss", m.loss},
               {"train_accuracy", m.train_accuracy},
               {"clean_accuracy", m.test.clean_accuracy},
               {"certified_accuracy", certified(m.test, eps)},
               {"mean_certified_radius", m.test.mean_certified_radius},
               {"lipschitz_bound", m.test.lipschitz_bound}};
  if (m.holdout) {
    json["holdout_accuracy"] = m.holdout->clean_accuracy;
    json["holdout_certified_accuracy"] = certified(*m.holdout, eps);
  }
  if (m.retraction_steps) {
    json["retraction_steps"] = {{"mean", m.retraction_steps->mean},
                                {"max", m.retraction_steps->max}};
  }
  for (const auto& [layer, ratio] : m.variance_ratios) json["variance_ratio"][layer] = ratio;
  json["time_train_s"] = m.time_train_s;
  json["time_train_cpu_s"] = m.time_train_cpu_s;
  json["time_eval_s"] = m.time_eval_s;
  write(json.dump());
}

void MetricsLog::append(std::int64_t step, double loss) {
  write(Json{{"step", step}, {"loss", loss}}.dump());
}

void MetricsLog::append(std::int64_t step, const SelfAudit& audit) {
  write(Json{{"step", step},
             {"audit",
              {{"lipschitz_bound", audit.bound},
               {"residual", audit.residual.value},
               {"residual_reason", audit.residual.reason},
               {"remedies", audit.remedies},
               {"drift", audit.drift.value_or("")}}}}
            .dump());
}

void MetricsLog::write(const std::string& line) {
  file_ << line << std::endl;
  require<IoError>(file_.good(), path_.string(), ": expected a file that can be written; is the ",
                   "disk full?");
}

LoggedMetrics read_metrics(const std::filesystem::path& path) {
  LoggedMetrics metrics;
  for_each_line(path, [&](const std::string&, const Json& json) {
    if (json.contains("audit")) return;
    if (!json.contains("epoch")) {
      metrics.losses.emplace_back(json.at("step"), json.at("loss"));
      return;
    }
    LoggedMetrics::Epoch epoch{
        json.at("epoch"), json.at("step"), json.at("loss"), json.at("clean_accuracy"), {}};
    for (const auto& [eps, value] : json.at("certified_accuracy").items()) {
      epoch.certified_accuracy.push_back(value.get<double>());
    }
    metrics.epochs.push_back(std::move(epoch));
  });
  return metrics;
}

}  // namespace isotape
