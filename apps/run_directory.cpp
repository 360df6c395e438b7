#include <isotape/apps/run_directory.hpp>

#include <iostream>
#include <system_error>

#include <isotape/apps/errors.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/datasets/registry.hpp>

namespace isotape {
namespace {

namespace fs = std::filesystem;

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  require<IoError>(!error && fs::is_directory(folder), folder.string(),
                   ": expected a folder that can be made, found ",
                   error ? error.message() : "a file");
}

}  // namespace

RunFiles create_run(const std::string& out, const RunConfig& config) {
  if (!out.empty()) {
    RunFiles files{out};
    for (const fs::path& file : {files.config(), files.state(), files.model(), files.metrics()}) {
      require<UsageError>(!fs::exists(file), "--out: expected a folder without a run, got ", out,
                          ", which holds ", file.filename().string(),
                          "; continue that run with --resume ", out);
    }
    make_folder(files.folder);
    return files;
  }
  for (int n = 1;; ++n) {
    const fs::path folder =
        fs::path("runs") / (config.model + "-" + config.dataset + "-" + std::to_string(n));
    if (fs::exists(folder)) continue;
    make_folder(folder);
    return {folder};
  }
}

RunFiles open_run(const std::string& folder) {
  RunFiles files{folder};
  require<DataError>(fs::is_directory(files.folder), folder,
                     ": expected the folder of a run, found ",
                     fs::exists(files.folder) ? "a file" : "nothing");
  require<DataError>(fs::exists(files.config()), folder,
                     ": expected a run with config.toml, found none");
  return files;
}

Dataset load_run_data(const RunConfig& config, const std::optional<std::string>& dataset,
                      const std::optional<std::string>& data) {
  DatasetOptions options;
  options.folder = data.value_or(config.data);
  options.seed = static_cast<std::uint64_t>(config.data_seed);
  Dataset loaded = load_dataset(dataset.value_or(config.dataset), options);
  for (const std::string& warning : loaded.warnings) {
    std::cerr << "isotape: warning: " << warning << '\n';
  }
  return loaded;
}

LoadedRun load_run(const std::string& folder, const std::optional<std::string>& dataset,
                   const std::optional<std::string>& data,
                   const std::optional<std::int64_t>& threads) {
  const RunFiles files = open_run(folder);
  RunConfig config = read_run_config(files.config());
  set_num_threads(static_cast<int>(threads.value_or(config.threads)));
  LoadedModel loaded = load_model(files.model());
  for (const std::string& warning : loaded.warnings) {
    std::cerr << "isotape: warning: " << warning << '\n';
  }
  Dataset found = load_run_data(config, dataset, data);
  const Model& model = loaded.model;
  require<ShapeError>(found.image_shape() == model.input && found.classes() == model.classes,
                      folder, ": expected images ", model.input, " of ", model.classes,
                      " classes, which its model was built for, got ", found.name, " with ",
                      found.image_shape(), " and ", found.classes());
  return {files, std::move(config), std::move(loaded.model), std::move(found)};
}

}  // namespace isotape
