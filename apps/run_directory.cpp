#include <isotape/apps/run_directory.hpp>

#include <iostream>
#include <system_error>

#include <isotape/apps/errors.hpp>
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

Model load_run_model(const RunFiles& files) {
  LoadedModel loaded = load_model(files.model());
  for (const std::string& warning : loaded.warnings) {
    std::cerr << "isotape: warning: " << warning << '\n';
  }
  return std::move(loaded.model);
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

}  // namespace isotape
