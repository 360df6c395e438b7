#include <doctest/doctest.h>
#include <filesystem>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/safetensors.hpp>
#include <isotape/layers/checkpoint.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/checkpoint");

namespace {

// A folder of this test's own, removed with its content.
class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / "isotape-checkpoint-test") {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directory(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  std::filesystem::path file(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

Model small_model(std::uint64_t seed) {
  const ModelSpec spec{
      "test",
      {{"conv1",
        "bcop",
        {{"out", std::int64_t{4}}, {"kernel", std::int64_t{4}}, {"stride", std::int64_t{2}}}},
       {"conv2", "conv", {{"out", std::int64_t{6}}, {"constraint", std::string("bjorck")}}},
       {"act", "maxmin", {{"pairing", std::string("adjacent")}}},
       {"flatten", "flatten", {}},
       {"fc1", "linear", {{"out", std::int64_t{5}}, {"constraint", std::string("spectral-norm")}}},
       {"fc2", "linear", {{"out", std::string("classes")}}}}};
  return build_model(spec, {6, 6, 1}, 3, Rng(seed));
}

// Loads `content` after a change and returns the error's text from the file's name on.
template <class Change>
std::string error_of(const SafeTensors& content, Change&& change) {
  const Folder folder;
  SafeTensors changed = content;
  change(changed);
  save_safetensors(folder.file("changed"), changed);
  try {
    load_model(folder.file("changed"));
  } catch (const DataError& error) {
    const std::string text = error.what();
    return text.substr(text.find("changed"));
  }
  return "no error";
}

}  // namespace

TEST_CASE("checkpoint: a saved model is loaded with equal bits") {
  const Folder folder;
  Model model = small_model(1);
  save_model(folder.file("a"), model);
  LoadedModel loaded = load_model(folder.file("a"));
  CHECK(loaded.warnings.empty());
  CHECK(loaded.model.spec == model.spec);
  CHECK(loaded.model.input == model.input);
  Rng rng(2);
  const Tensor x = random_uniform(rng, {3, 6, 6, 1}, 0, 1);
  CHECK(max_abs_diff(model.net.forward(x).value(), loaded.model.net.forward(x).value()) == 0);
}

TEST_CASE("checkpoint: keys and layouts are as documented") {
  const Folder folder;
  Model model = small_model(1);
  save_model(folder.file("a"), model);
  const SafeTensors file = load_safetensors(folder.file("a"));
  const auto shape = [&](const char* key) { return file.tensors.at(key).shape(); };
  CHECK(shape("conv1.raw") == Shape{3, 4, 4});
  CHECK(shape("conv1.weight") == Shape{4, 4, 2, 2});
  CHECK(shape("conv1.bias") == Shape{4});
  CHECK(shape("conv2.raw") == Shape{6, 4, 3, 3});
  CHECK(shape("conv2.weight") == Shape{6, 4, 3, 3});
  CHECK(shape("fc1.raw") == Shape{5, 54});
  CHECK(shape("fc1.u") == Shape{5});
  CHECK(shape("fc1.v") == Shape{54});
  CHECK(shape("fc2.weight") == Shape{3, 5});
  CHECK(file.metadata.at("format") == "pt");
}

TEST_CASE("checkpoint: what does not belong to the model is refused, naming it") {
  const Folder folder;
  Model model = small_model(1);
  save_model(folder.file("a"), model);
  const SafeTensors good = load_safetensors(folder.file("a"));
  CHECK(error_of(good, [](SafeTensors&) {}) == "no error");
  CHECK(
      error_of(good, [](SafeTensors& f) { f.metadata.clear(); }) ==
      "changed: expected a checkpoint with metadata 'isotape.input', found none; was it written by "
      "isotape?");
  CHECK(error_of(good, [](SafeTensors& f) { f.tensors.erase("fc2.raw"); }) ==
        "changed: expected a tensor 'fc2.raw', found none");
  CHECK(error_of(good, [](SafeTensors& f) { f.tensors["fc3.raw"] = Tensor::zeros({1}); }) ==
        "changed: expected no tensor but the model's, found 'fc3.raw'");
  CHECK(error_of(good, [](SafeTensors& f) {
          f.tensors["fc2.raw"] = Tensor::zeros({2, 2});
        }) == "changed: fc2.raw: expected shape [3, 5] and type f32, found [2, 2] and f32");
  CHECK(error_of(good, [](SafeTensors& f) {
          f.tensors["fc2.bias"] = Tensor::full({3}, std::numeric_limits<double>::infinity());
        }) == "changed: fc2.bias: expected finite values, found NaN or infinity");
  CHECK(error_of(good, [](SafeTensors& f) { f.metadata["isotape.input"] = "6,x"; }) ==
        "changed: expected positive extents in its metadata, found '6,x'");
}

TEST_CASE("checkpoint: a raw tensor that does not fold to its stored weight is refused") {
  const Folder folder;
  Model model = small_model(1);
  save_model(folder.file("a"), model);
  const SafeTensors good = load_safetensors(folder.file("a"));
  const std::string text =
      error_of(good, [](SafeTensors& f) { f.tensors["fc2.raw"].write<float>()[0] += 0.1F; });
  CHECK(text.find("changed: fc2.weight: expected the weight that its raw tensor folds to within "
                  "1e-05, found a difference of ") == 0);
  CHECK(text.find("; fold it anew with `isotape export`") != std::string::npos);
}

TEST_CASE("checkpoint: without the comparison a replaced raw tensor is folded anew") {
  const Folder folder;
  Model model = small_model(1);
  save_model(folder.file("a"), model);
  SafeTensors file = load_safetensors(folder.file("a"));
  file.tensors["fc2.raw"].write<float>()[0] += 0.1F;
  file.tensors.erase("fc2.weight");
  save_safetensors(folder.file("b"), file);
  LoadedModel loaded = load_model(folder.file("b"), {.check_folds = false});
  save_model(folder.file("c"), loaded.model);
  CHECK_NOTHROW(load_model(folder.file("c")));
}

TEST_CASE("checkpoint: lost rank is completed with one warning") {
  const Folder folder;
  Model model = small_model(1);
  save_model(folder.file("a"), model);
  SafeTensors file = load_safetensors(folder.file("a"));
  file.tensors["fc2.raw"] = Tensor::full({3, 5}, 1);
  save_safetensors(folder.file("b"), file);
  const LoadedModel loaded = load_model(folder.file("b"), {.check_folds = false});
  REQUIRE(loaded.warnings.size() == 1);
  CHECK(loaded.warnings[0].find("fc2: 1 of 1 raw matrices had lost rank") != std::string::npos);
}

TEST_SUITE_END();
