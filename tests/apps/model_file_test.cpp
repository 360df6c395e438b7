#include <doctest/doctest.h>
#include <support/scratch_folder.hpp>

#include <isotape/apps/errors.hpp>
#include <isotape/apps/model_file.hpp>
#include <isotape/layers/model.hpp>

using namespace isotape;

namespace {

const ModelSpec example{
    "mine",
    {{"conv1", "bcop", {{"out", std::int64_t{16}}, {"kernel", std::int64_t{4}}, {"bias", true}}},
     {"flatten", "flatten", {}},
     {"fc", "linear", {{"out", std::string("classes")}, {"raw_gain", 1.0}}}}};

}  // namespace

TEST_SUITE_BEGIN("apps/model_file");

TEST_CASE("model_file: what is printed reads as an equal model, options in their order") {
  const ScratchFolder folder;
  CHECK(read_model_file(folder.put("m.toml", to_toml(example))) == example);
}

TEST_CASE("model_file: every named model survives as a file") {
  const ScratchFolder folder;
  for (const std::string& name : model_names()) {
    CAPTURE(name);
    const ModelSpec spec = find_model(name);
    CHECK(read_model_file(folder.put("m.toml", to_toml(spec))) == spec);
  }
  CHECK(find_model((folder / "m.toml").string()) == named_model(model_names().back()));
}

TEST_CASE("model_file: layers within layers are [[layer.layer]] tables, to any depth") {
  const ScratchFolder folder;
  const LayerSpec act{"act", "relu", {}};
  const LayerSpec body{"body", "sequential", {}, {act, {"g", "gain", {{"value", 0.5}}}}};
  const LayerSpec skip{"skip", "sequential", {}};
  const ModelSpec spec{"m", {{"block", "sum", {}, {body, skip}}, {"flatten", "flatten", {}}}};
  const std::string text = to_toml(spec);
  CHECK(text.find("[[layer.layer.layer]]\nname = \"g\"") != std::string::npos);
  CHECK(read_model_file(folder.put("m.toml", text)) == spec);
  const auto error_for = [&](std::string_view file) {
    const auto path = folder.put("m.toml", file);
    return folder.error<UsageError>([&] { read_model_file(path); });
  };
  CHECK(error_for("[[layer]]\nname = \"a\"\ntype = \"abs\"\n[[layer.layer]]\nname = \"b\"\n") ==
        "DIR/m.toml:4:9: a (abs): expected no options, got 'layer'");
  CHECK(error_for("[[layer]]\nname = \"a\"\ntype = \"sum\"\nlayer = 3\n") ==
        "DIR/m.toml:4:9: expected [[layer]] tables, got an integer");
}

TEST_CASE("model_file: the name is that of the file if there is none") {
  const ScratchFolder folder;
  const auto path = folder.put("other.toml", "[[layer]]\nname = \"f\"\ntype = \"flatten\"\n");
  CHECK(read_model_file(path).name == "other");
}

TEST_CASE("model_file: errors name line and column") {
  const ScratchFolder folder;
  const auto error_for = [&](std::string_view text) {
    const auto path = folder.put("m.toml", text);
    return folder.error<UsageError>([&] { read_model_file(path); });
  };
  CHECK(error_for("name = \"x\"\n") == "DIR/m.toml:1:1: expected [[layer]] tables, got none");
  CHECK(error_for("layers = 3\n") ==
        "DIR/m.toml:1:1: expected name or [[layer]], got 'layers'; did you mean layer?");
  CHECK(error_for("layer = 3\n") == "DIR/m.toml:1:9: expected [[layer]] tables, got an integer");
  CHECK(error_for("name = 3\n") == "DIR/m.toml:1:8: expected name to be a word in quotes");
  CHECK(error_for("\n[[layer]]\ntype = \"abs\"\n") ==
        "DIR/m.toml:2:1: expected the layer's name, got none");
  CHECK(error_for("[[layer]]\nname = \"a\"\n") ==
        "DIR/m.toml:1:1: expected the layer's type, got none");
  CHECK(error_for("[[layer]]\nname = \"a\"\ntype = \"linaer\"\n") ==
        "DIR/m.toml:3:8: expected a type of `isotape layers`, got 'linaer'; did you mean linear?");
  CHECK(error_for("[[layer]]\nname = \"a\"\ntype = \"groupsort\"\nsiez = 2\n") ==
        "DIR/m.toml:4:1: a (groupsort): expected options size, pairing, got 'siez'; did you mean "
        "size?");
  CHECK(error_for("[[layer]]\nname = \"a\"\ntype = \"abs\"\nout = 1\n") ==
        "DIR/m.toml:4:1: a (abs): expected no options, got 'out'");
  CHECK(error_for("[[layer]]\nname = \"a\"\ntype = \"linear\"\nout = [1]\n") ==
        "DIR/m.toml:4:7: expected out to be a number, a word, true or false, got a list");
  CHECK(error_for("[[layer]]\nname = \"a\"\ntype = \"abs\"\n[[layer]]\nname = \"a\"\ntype = "
                  "\"abs\"\n") ==
        "DIR/m.toml:4:1: expected layers of different names, got 'a' twice");
  CHECK(error_for("[[layer\n").starts_with("DIR/m.toml:"));
}

TEST_SUITE_END();
