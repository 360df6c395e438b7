// isotape eval: clean and certified accuracy of a run.

#include <fmt/format.h>
#include <iostream>

#include <isotape/apps/commands.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/metrics.hpp>
#include <isotape/apps/run_directory.hpp>
#include <isotape/apps/table.hpp>

namespace isotape {

int run_eval(const EvalOptions& options) {
  LoadedRun run = load_run(options.run, options.dataset, options.data, options.threads);
  const std::vector<Eps>& eps = options.eps ? *options.eps : run.config.eps;
  const Evaluation result =
      evaluate(run.model, run.data.test, values(eps), options.batch.value_or(500));
  if (options.json) {
    std::cout << to_json(result, eps) << '\n';
    return exit_ok;
  }
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
  return exit_ok;
}

}  // namespace isotape
