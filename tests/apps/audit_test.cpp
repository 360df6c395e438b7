#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <support/captured_output.hpp>
#include <support/scratch_folder.hpp>

#include <isotape/apps/commands.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/resolve.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/layers/checkpoint.hpp>

using namespace isotape;

namespace {

// A run on points, which need no file.
void write_run(const ScratchFolder& folder, const std::string& loss, const Shape& input = {1, 1, 2},
               const char* activation = "maxmin") {
  TrainOptions options;
  options.model = "fc-3";
  options.dataset = "moons";
  options.loss = loss;
  options.threads = num_threads();
  write_run_config(folder / "config.toml", resolve(options));
  const ModelSpec spec{"small",
                       {{"flatten", "flatten", {}},
                        {"fc1", "linear", {{"out", std::int64_t{8}}}},
                        {"act1", activation, {}},
                        {"fc2", "linear", {{"out", std::string("classes")}}}}};
  Model model = build_model(spec, input, 2, Rng(1));
  save_model(folder / "model.safetensors", model);
}

AuditOptions options_of(const ScratchFolder& folder) {
  AuditOptions options;
  options.run = folder.path().string();
  return options;
}

}  // namespace

TEST_SUITE_BEGIN("apps/audit");

TEST_CASE("audit: prints tables and proof of a run on its own test images") {
  for (const char* loss : {"multi-margin", "cross-entropy"}) {
    CAPTURE(loss);
    const ScratchFolder folder;
    write_run(folder, loss);
    const CapturedOutput output;
    CHECK(run_audit(options_of(folder)) == exit_ok);
    CHECK(output.out().starts_with("small, 4 layers, input [1, 1, 2]\n"));
    CHECK(output.out().find("Gradients, measured on 128 samples") != std::string::npos);
    CHECK(output.out().ends_with("\nEvery claim holds.\n"));
    CHECK(output.err().empty());
  }
}

TEST_CASE("audit: --json prints one object") {
  const ScratchFolder folder;
  write_run(folder, "multi-margin");
  AuditOptions options = options_of(folder);
  options.json = true;
  const CapturedOutput output;
  CHECK(run_audit(options) == exit_ok);
  const auto json = nlohmann::json::parse(output.out());
  CHECK(json["layers"].size() == 4);
  CHECK(json["bound"].get<double>() < 1.00001);
  CHECK(json["layers"][1]["claim"] == "keeps activations");
}

TEST_CASE("audit: --lipsdp adds a bound by diagonal multipliers, as text and as JSON") {
  const ScratchFolder folder;
  write_run(folder, "multi-margin", {1, 1, 2}, "relu");
  AuditOptions options = options_of(folder);
  {
    const CapturedOutput output;
    CHECK(run_audit(options) == exit_ok);
    CHECK(output.out().find("multipliers") == std::string::npos);
  }
  options.lipsdp = true;
  {
    const CapturedOutput output;
    CHECK(run_audit(options) == exit_ok);
    CHECK(output.out().find("\nProved bound with 8 multipliers [Fazlyab 2019]: 0.") !=
          std::string::npos);
    CHECK(output.out().find("; product of norms 1.00000") != std::string::npos);
  }
  options.json = true;
  const CapturedOutput output;
  CHECK(run_audit(options) == exit_ok);
  const auto json = nlohmann::json::parse(output.out());
  CHECK(json["lipsdp"]["multipliers"] == 8);
  CHECK(json["lipsdp"]["bound"] < json["lipsdp"]["product"]);
  CHECK(json["jacobian"]["sigma_max"] <= json["lipsdp"]["bound"]);
}

TEST_CASE("audit: --lipsdp names the layer that it is not for") {
  const ScratchFolder folder;
  write_run(folder, "multi-margin");
  AuditOptions options = options_of(folder);
  options.lipsdp = true;
  const CapturedOutput output;
  CHECK_THROWS_WITH_AS(
      run_audit(options),
      "lipsdp: act1 (MaxMin): expected dense layers with relu or leaky-relu between each two",
      ValueError);
  CHECK(output.out().empty());
}

TEST_CASE("audit: refuses images that the model was not built for, and what is no run") {
  const ScratchFolder folder;
  write_run(folder, "multi-margin", {4, 4, 1});
  std::filesystem::create_directory(folder / "empty");
  const CapturedOutput output;
  AuditOptions options = options_of(folder);
  CHECK(
      folder.error<ShapeError>([&] { run_audit(options); }) ==
      "DIR: expected images [4, 4, 1] of 2 classes, which its model was built for, got moons with "
      "[1, 1, 2] and 2");
  CHECK(output.out().empty());
  options.run = (folder / "empty").string();
  CHECK(folder.error<DataError>([&] { run_audit(options); }) ==
        "DIR/empty: expected a run with config.toml, found none");
}

TEST_SUITE_END();
