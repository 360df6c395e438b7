// isotape eval: clean and certified accuracy of a run, and what attacks leave of it.

#include <fmt/format.h>
#include <iostream>
#include <nlohmann/json.hpp>

#include <isotape/apps/attack_report.hpp>
#include <isotape/apps/commands.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/metrics.hpp>
#include <isotape/apps/progress.hpp>
#include <isotape/apps/run_directory.hpp>
#include <isotape/apps/table.hpp>

namespace isotape {
namespace {

void print_text(const Evaluation& result, const std::vector<Eps>& eps) {
  std::vector<std::vector<std::string>> rows = {
      {"accuracy", "percent of " + with_commas(result.images)},
      {"clean", fmt::format("{:.2f}", result.clean_accuracy)}};
  for (std::size_t i = 0; i < eps.size(); ++i) {
    rows.push_back(
        {"certified at " + eps[i].text, fmt::format("{:.2f}", result.certified_accuracy[i])});
  }
  std::cout << table(rows)
            << fmt::format(
                   "Certified: margin > sqrt(2) L eps, L = {:.9f} the proved bound of the net.\n"
                   "Mean certified radius {:.4f} (pixels in [0, 1]; a misclassified image counts "
                   "0).\n",
                   result.lipschitz_bound, result.mean_certified_radius);
}

// Reads --attack, before anything is loaded.
std::vector<NamedAttack> read_attacks(const EvalOptions& options) {
  if (options.attack) return make_attacks(*options.attack);
  for (const auto& [flag, is_given] :
       {std::pair{"--attack-images", options.attack_images.has_value()},
        std::pair{"--attack-seed", options.attack_seed.has_value()}}) {
    require<UsageError>(!is_given, "eval: expected --attack with ", flag);
  }
  return {};
}

AttackEvaluation attack(LoadedRun& run, const EvalOptions& options, const Evaluation& evaluation,
                        const std::vector<NamedAttack>& attacks, const std::vector<Eps>& eps) {
  Progress progress(options.json);
  AttackEvaluationOptions how;
  how.images = options.attack_images.value_or(run.data.test.size());
  how.batch = options.batch.value_or(how.batch);
  how.seed = static_cast<std::uint64_t>(options.attack_seed.value_or(0));
  how.progress = [&](const AttackEvaluationOptions::Progress& p) {
    progress.advance(
        {p.what, p.done, p.total, p.images, p.images, fmt::format("{} broken", p.broken), 0});
  };
  AttackEvaluation result =
      evaluate_attacks(run.model, run.data.test, evaluation, attacks, eps, how);
  progress.pause();
  return result;
}

}  // namespace

int run_eval(const EvalOptions& options) {
  const std::vector<NamedAttack> attacks = read_attacks(options);
  LoadedRun run = load_run(options.run, options.dataset, options.data, options.threads);
  const std::vector<Eps>& eps = options.eps ? *options.eps : run.config.eps;
  const Evaluation result =
      evaluate(run.model, run.data.test, values(eps), options.batch.value_or(500));
  if (attacks.empty()) {
    options.json ? void(std::cout << to_json(result, eps) << '\n') : print_text(result, eps);
    return exit_ok;
  }
  if (!options.json) print_text(result, eps);
  const AttackEvaluation attacked = attack(run, options, result, attacks, eps);
  const auto saved = save_broken(run.files.folder / "broken-certificates", attacked);
  if (options.json) {
    auto json = nlohmann::ordered_json::parse(to_json(result, eps));
    json["under_attack"] = nlohmann::ordered_json::parse(attack_json(attacked, eps));
    std::cout << json.dump() << '\n';
  } else {
    std::cout << attack_text(attacked, eps);
    for (const auto& path : saved) std::cout << "saved " << path.string() << '\n';
  }
  std::cout << std::flush;
  check_order(attacked, saved);
  return exit_ok;
}

}  // namespace isotape
