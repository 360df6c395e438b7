// isotape study: an experiment on a grid of parameters, and its report.

#include <iostream>
#include <nlohmann/json.hpp>

#include <isotape/apps/commands.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/interrupt.hpp>
#include <isotape/apps/study/studies.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/datasets/registry.hpp>

namespace isotape {
namespace {

struct Asked {
  const Study* study;
  StudySettings settings;
  std::string out;
};

Asked asked_of(const StudyOptions& options) {
  if (!options.resume.empty()) {
    require<UsageError>(options.name.empty() && options.out.empty() && !options.dataset &&
                            !options.seed && !options.threads && !options.full,
                        "study: expected nothing but --data and --json with --resume, which "
                        "continues a study as it was begun");
    const auto [study, settings] = settings_of(options.resume);
    return {study, settings, options.resume};
  }
  require<UsageError>(!options.name.empty(), "study: expected the NAME of a study, or --resume");
  const Study& study = study_of(options.name);
  require<UsageError>(!study.dataset.empty() || (!options.dataset && !options.data), study.name,
                      ": expected no --dataset and no --data, as this study draws its own points");
  const StudySettings settings{options.dataset.value_or(std::string(study.dataset)),
                               options.seed.value_or(0), options.threads.value_or(num_threads()),
                               options.full};
  return {&study, settings, options.out.empty() ? "runs/" + std::string(study.name) : options.out};
}

std::string command_of(const Asked& asked) {
  const StudySettings& settings = asked.settings;
  std::string command = message("isotape study ", asked.study->name, " --out ", asked.out);
  if (settings.dataset != asked.study->dataset) command += " --dataset " + settings.dataset;
  if (settings.full) command += " --full";
  return command + message(" --seed ", settings.seed, " --threads ", settings.threads);
}

}  // namespace

int run_study(const StudyOptions& options) {
  const Asked asked = asked_of(options);
  catch_interrupts();
  set_num_threads(static_cast<int>(asked.settings.threads));
  const StudyFiles files = open_study(*asked.study, asked.settings, asked.out);
  Progress progress(options.json);
  const auto load = [&] {
    if (asked.settings.dataset.empty()) return Dataset();
    return load_dataset(asked.settings.dataset, {.folder = options.data.value_or("")});
  };
  const std::vector<StudyResult> results =
      run_grid(*asked.study, asked.settings, asked.study->cells(asked.settings), files, load,
               command_of(asked), progress);
  const StudyPage page = asked.study->page(results, asked.settings);
  if (options.json) {
    StudyJson figures = StudyJson::object();
    for (const auto& [name, value] : page.figures) figures[name] = value;
    const StudyJson json = {{"study", asked.study->name},
                            {"results", files.results().string()},
                            {"report", files.report().string()},
                            {"figures", figures}};
    std::cout << json.dump(2) << '\n';
    return exit_ok;
  }
  for (const auto& [name, value] : page.figures) std::cout << name << ": " << value << '\n';
  std::cout << "results " << files.results().string() << "\nreport " << files.report().string()
            << '\n';
  return exit_ok;
}

}  // namespace isotape
