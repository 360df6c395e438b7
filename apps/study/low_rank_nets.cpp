#include <isotape/apps/study/low_rank_nets.hpp>

#include <fmt/format.h>
#include <algorithm>
#include <filesystem>

#include <isotape/apps/errors.hpp>
#include <isotape/apps/training.hpp>
#include <isotape/datasets/clusters.hpp>
#include <isotape/layers/checkpoint.hpp>

namespace isotape {
namespace {

namespace fs = std::filesystem;

LayerSpec dense(std::string name, OptionValue out) {
  return {std::move(name),
          "linear",
          {{"out", std::move(out)}, {"constraint", std::string("unconstrained")}}};
}

ModelSpec three_layers() {
  return {"dense-256-256",
          {{"flatten", "flatten", {}},
           dense("fc1", std::int64_t{256}),
           {"act1", "relu", {}},
           dense("fc2", std::int64_t{256}),
           {"act2", "relu", {}},
           dense("fc3", std::string("classes"))}};
}

Dataset first_of(Dataset data, std::int64_t train, std::int64_t test) {
  const auto cut = [](Split& split, std::int64_t count) {
    if (count == 0 || count >= split.size()) return;
    split.images = split.images.rows(0, count);
    split.labels.resize(static_cast<std::size_t>(count));
  };
  cut(data.train, train);
  cut(data.test, test);
  return data;
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what)) {
    text.replace(at, what.size(), by);
  }
  return text;
}

RunConfig recipe(const NetKey& key, const StudySettings& settings) {
  RunConfig config;
  config.model = std::string(key.problem.name);
  config.augment = "off";
  config.select_on = "none";
  config.epochs = key.problem.epochs;
  config.batch = 128;
  config.loss = "cross-entropy";
  config.margin = 1;
  config.optimizer = "sgd:momentum=0.9";
  config.lr = 0.05;
  config.schedule = std::string(key.problem.schedule);
  config.orthogonal_update = "reparametrize";
  config.threads = settings.threads;
  config.seed = settings.seed + key.draw;
  if (key.variant == "stranger") {
    config.seed += 1000;
    return config;
  }
  const auto& variants = low_rank_variants();
  const auto found = std::find_if(variants.begin(), variants.end(),
                                  [&](const auto& v) { return v.name == key.variant; });
  if (found->low_rank.empty()) return config;
  std::string text = replaced(std::string(found->low_rank), "LAST", key.problem.last);
  text = replaced(text, "EARLY", key.problem.early);
  text = replaced(text, "RANK", std::to_string(key.problem.early_rank));
  config.low_rank = replaced(text, "WEIGHT", fmt::format("{}", key.problem.norm_weight));
  return config;
}

// Where a net is kept, and a training that was stopped.
struct Kept {
  fs::path net;
  fs::path state;
};
Kept kept(const NetKey& key, const fs::path& folder) {
  if (folder.empty()) return {};
  const fs::path base =
      folder / "nets" / fmt::format("{}-{}-{}", key.problem.name, key.variant, key.draw);
  fs::create_directories(base.parent_path());
  return {base.string() + ".safetensors", base.string() + ".state"};
}

void finish(Training& training, const Kept& files, const std::function<void()>& check_interrupt) {
  if (!files.state.empty() && fs::exists(files.state)) training.load_state(files.state);
  try {
    while (!training.is_finished()) {
      check_interrupt();
      training.step();
    }
  } catch (const Interrupted&) {
    if (!files.state.empty()) training.save_state(files.state);
    throw;
  }
}

}  // namespace

const std::vector<LowRankProblem>& low_rank_problems() {
  static const std::vector<double> small = {0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6};
  static const std::vector<double> grey = {0.02, 0.05, 0.1, 0.15, 0.2, 0.3};
  static const std::vector<LowRankProblem> list = {
      {"points", "points", three_layers, "act2", "act1", 40, 1, 25, "constant", small, 0.2, 1, 0,
       0},
      {"images", "images, dense net", three_layers, "act2", "act1", 100, 0.1, 10, "cosine", grey,
       0.1, 0.5, 20'000, 2'000},
  };
  return list;
}

const LowRankProblem& low_rank_problem(std::string_view name) {
  const auto& list = low_rank_problems();
  return *std::find_if(list.begin(), list.end(), [&](const auto& p) { return p.name == name; });
}

const std::vector<LowRankVariant>& low_rank_variants() {
  static const std::vector<LowRankVariant> list = {
      {"vanilla", "vanilla", "", false},
      {"rank-10", "low rank, r = 10", "LAST:rank=10,norm=WEIGHT", false},
      {"rank-5", "low rank, r = 5", "LAST:rank=5,norm=WEIGHT", true},
      {"nystrom", "low rank, r = 10, by columns",
       "LAST:rank=10,norm=WEIGHT,method=nystrom,columns=64", true},
      {"two", "low rank behind two layers", "LAST:rank=10,norm=WEIGHT+EARLY:rank=RANK,norm=WEIGHT",
       false},
      {"norm", "norm loss alone", "LAST:rank=10,norm=WEIGHT,projection=0", false},
  };
  return list;
}

Dataset data_of(const LowRankProblem& problem, const StudyContext& context, std::int64_t draw) {
  if (problem.name == "points") {
    return make_clusters({.seed = static_cast<std::uint64_t>(context.settings.seed + draw)});
  }
  return first_of(context.data, problem.train, problem.test);
}

Model net_of(const NetKey& key, const Dataset& data, const StudyContext& context) {
  const Kept files = kept(key, context.folder);
  if (!files.net.empty() && fs::exists(files.net)) return std::move(load_model(files.net).model);
  Training training(recipe(key, context.settings), key.problem.spec(), data);
  finish(training, files, context.check_interrupt);
  Model model = std::move(training.model());
  const Paused paused;
  model.net.prepare();
  if (!files.net.empty()) {
    save_model(files.net, model);
    fs::remove(files.state);
  }
  return model;
}

}  // namespace isotape
