// isotape eval: clean and certified accuracy of a run.

#include <fmt/format.h>
#include <iostream>

#include <isotape/apps/commands.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/metrics.hpp>
#include <isotape/apps/run_directory.hpp>
#include <isotape/apps/table.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {

int run_eval(const EvalOptions& options) {
  const RunFiles files = open_run(options.run);
  const RunConfig config = read_run_config(files.config());
  set_num_threads(static_cast<int>(options.threads.value_or(config.threads)));
  Model model = load_run_model(files);
  const Dataset data = load_run_data(config, options.dataset, options.data);
  require<ShapeError>(data.image_shape() == model.input && data.classes() == model.classes,
                      "eval: expected images ", model.input, " of ", model.classes,
                      " classes, which the model was built for, got ", data.name, " with ",
                      data.image_shape(), " and ", data.classes());
  const std::vector<Eps>& eps = options.eps ? *options.eps : config.eps;
  const Evaluation result = evaluate(model, data.test, values(eps), options.batch.value_or(500));
  if (options.json) {
    std::cout << to_json(result, eps) << '\n';
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows = {
      {"accuracy", "percent of " + with_commas(result.images)}};
  rows.push_back({"clean", fmt::format("{:.2f}", result.clean_accuracy)});
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
