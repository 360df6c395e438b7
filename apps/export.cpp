// isotape export: a model whose weights are folded anew from its raw tensors.

#include <fmt/format.h>
#include <iostream>
#include <nlohmann/json.hpp>

#include <isotape/apps/commands.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/run_directory.hpp>
#include <isotape/apps/table.hpp>
#include <isotape/layers/checkpoint.hpp>

namespace isotape {
namespace {

namespace fs = std::filesystem;

void check(const ExportOptions& options) {
  require<UsageError>(options.to == "safetensors", "--to: expected safetensors, got '", options.to,
                      "'");
  require<UsageError>(!fs::is_directory(options.out), "--out: expected a file to write, got ",
                      options.out, ", which is a folder");
}

void print(const ExportOptions& options, const fs::path& from, Model& model,
           const std::vector<std::string>& warnings) {
  const std::vector<NamedTensor> weights = model.net.folded_weights();
  const auto bytes = static_cast<std::int64_t>(fs::file_size(options.out));
  if (!options.json) {
    std::cout << fmt::format("wrote {}: {} for input {}, {} weights folded from {}, {} bytes\n",
                             options.out, model.spec.name, message(model.input), weights.size(),
                             from.string(), with_commas(bytes));
    return;
  }
  nlohmann::ordered_json names = nlohmann::ordered_json::array();
  for (const NamedTensor& weight : weights) names.push_back(weight.name);
  const nlohmann::ordered_json json = {{"file", options.out},   {"format", options.to},
                                       {"from", from.string()}, {"model", model.spec.name},
                                       {"folded", names},       {"bytes", bytes},
                                       {"warnings", warnings}};
  std::cout << json.dump(2) << '\n';
}

}  // namespace

int run_export(const ExportOptions& options) {
  check(options);
  const fs::path from =
      fs::is_directory(options.run) ? RunFiles{options.run}.model() : fs::path(options.run);
  // The raw tensors are the truth: stored weights are not looked at.
  LoadedModel loaded = load_model(from, {.check_folds = false});
  for (const std::string& warning : loaded.warnings) {
    std::cerr << "isotape: warning: " << warning << '\n';
  }
  save_model(options.out, loaded.model);
  print(options, from, loaded.model, loaded.warnings);
  return exit_ok;
}

}  // namespace isotape
