#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <support/captured_output.hpp>
#include <support/scratch_folder.hpp>

#include <isotape/apps/commands.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/safetensors.hpp>
#include <isotape/layers/checkpoint.hpp>

using namespace isotape;

namespace {

Model small_model() {
  const ModelSpec spec{"small",
                       {{"conv1", "bcop", {{"out", std::int64_t{3}}, {"kernel", std::int64_t{3}}}},
                        {"flatten", "flatten", {}},
                        {"fc1", "linear", {{"out", std::string("classes")}}}}};
  return build_model(spec, {4, 4, 2}, 3, Rng(1));
}

ExportOptions from(const ScratchFolder& folder, const char* run, const char* out) {
  ExportOptions options;
  options.run = (folder / run).string();
  options.to = "safetensors";
  options.out = (folder / out).string();
  return options;
}

// The file of the small model, with raw tensors replaced and the folded weights as they were.
SafeTensors replaced(const ScratchFolder& folder) {
  Model model = small_model();
  save_model(folder / "model.safetensors", model);
  SafeTensors file = load_safetensors(folder / "model.safetensors");
  Rng rng(9);
  file.tensors["conv1.raw"] = random_normal(rng, {5, 3, 3});
  file.tensors["fc1.raw"] = random_normal(rng, {3, 48});
  save_safetensors(folder / "model.safetensors", file);
  return file;
}

}  // namespace

TEST_SUITE_BEGIN("apps/export");

TEST_CASE("export: a model that was not touched is written with equal bytes") {
  const ScratchFolder folder;
  Model model = small_model();
  save_model(folder / "model.safetensors", model);
  const CapturedOutput output;
  CHECK(run_export(from(folder, "", "out.safetensors")) == exit_ok);
  CHECK(folder.get("out.safetensors") == folder.get("model.safetensors"));
  CHECK(run_export(from(folder, "model.safetensors", "again.safetensors")) == exit_ok);
  CHECK(folder.get("again.safetensors") == folder.get("model.safetensors"));
  CHECK(output.err().empty());
}

TEST_CASE("export: raw tensors that were replaced are kept, and folded anew") {
  const ScratchFolder folder;
  const SafeTensors given = replaced(folder);
  CHECK_THROWS_AS(load_model(folder / "model.safetensors"), DataError);
  const CapturedOutput output;
  CHECK(run_export(from(folder, "model.safetensors", "out.safetensors")) == exit_ok);

  const SafeTensors written = load_safetensors(folder / "out.safetensors");
  CHECK(max_abs_diff(written.tensors.at("conv1.raw"), given.tensors.at("conv1.raw")) == 0);
  CHECK(max_abs_diff(written.tensors.at("fc1.raw"), given.tensors.at("fc1.raw")) == 0);
  CHECK(max_abs_diff(written.tensors.at("conv1.weight"), given.tensors.at("conv1.weight")) > 0.01);
  LoadedModel loaded = load_model(folder / "out.safetensors");  // folds agree
  const auto folded = loaded.model.net.folded_weights();
  REQUIRE(folded.size() == 2);
  CHECK(max_abs_diff(written.tensors.at("conv1.weight"), folded[0].tensor) == 0);
  CHECK(loaded.model.net.lipschitz_bound().value < 1.00001);
}

TEST_CASE("export: may replace the file that it reads") {
  const ScratchFolder folder;
  replaced(folder);
  const CapturedOutput output;
  CHECK(run_export(from(folder, "model.safetensors", "model.safetensors")) == exit_ok);
  CHECK_NOTHROW(load_model(folder / "model.safetensors"));
  CHECK(folder.entries() == 1);
}

TEST_CASE("export: says what it wrote, and warns of raw tensors that had lost rank") {
  const ScratchFolder folder;
  SafeTensors file = replaced(folder);
  file.tensors["fc1.raw"] = Tensor::full({3, 48}, 1);
  save_safetensors(folder / "model.safetensors", file);
  ExportOptions options = from(folder, "model.safetensors", "out.safetensors");
  {
    const CapturedOutput output;
    run_export(options);
    CHECK(output.out().starts_with("wrote " + options.out +
                                   ": small for input [4, 4, 2], 2 weights folded from " +
                                   options.run + ", "));
    CHECK(output.out().ends_with(" bytes\n"));
    CHECK(output.err().starts_with("isotape: warning: " + options.run +
                                   ": fc1: 1 of 1 raw matrices had lost rank"));
  }
  options.json = true;
  const CapturedOutput output;
  run_export(options);
  const auto json = nlohmann::json::parse(output.out());
  CHECK(json["file"] == options.out);
  CHECK(json["format"] == "safetensors");
  CHECK(json["from"] == options.run);
  CHECK(json["model"] == "small");
  CHECK(json["folded"] == std::vector<std::string>{"conv1.weight", "fc1.weight"});
  CHECK(json["bytes"] == std::filesystem::file_size(options.out));
  CHECK(json["warnings"].size() == 1);
}

TEST_CASE("export: refuses other formats, folders as files, and files that are no model") {
  const ScratchFolder folder;
  replaced(folder);
  ExportOptions options = from(folder, "", "out.safetensors");
  options.to = "onnx";
  CHECK_THROWS_WITH_AS(run_export(options), "--to: expected safetensors, got 'onnx'", UsageError);
  options = from(folder, "model.safetensors", "");
  CHECK(folder.error<UsageError>([&] { run_export(options); }) ==
        "--out: expected a file to write, got DIR/, which is a folder");
  options = from(folder, "missing", "out.safetensors");
  CHECK(folder.error<DataError>([&] { run_export(options); }) ==
        "load_safetensors: DIR/missing: expected a file, found nothing");
  folder.put("text", "not a model at all");
  options = from(folder, "text", "out.safetensors");
  CHECK_THROWS_AS(run_export(options), DataError);
  options = from(folder, "model.safetensors", "no/such/out.safetensors");
  CHECK_THROWS_AS(run_export(options), IoError);
  CHECK(folder.entries() == 2);
}

TEST_SUITE_END();
