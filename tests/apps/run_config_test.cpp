#include <doctest/doctest.h>
#include <cmath>
#include <support/scratch_folder.hpp>

#include <isotape/apps/errors.hpp>
#include <isotape/apps/run_config.hpp>

using namespace isotape;

namespace {

RunConfig example() {
  RunConfig config;
  config.model = "a \"name\" with \\ and \n in it";
  config.layers = {
      {"fc", "linear", {{"out", std::int64_t{4}}, {"bias", false}, {"raw_gain", 0.1}}}};
  config.dataset = "mnist";
  config.data = "/tmp/a folder";
  config.augment = "off";
  config.select_on = "none";
  config.epochs = 5;
  config.batch = 128;
  config.loss = "multi-margin";
  config.margin = 1.5 * std::sqrt(2.0);
  config.optimizer = "adam";
  config.lr = 1e-3;
  config.schedule = "exponential:final=0.001";
  config.orthogonal_update = "reparametrize";
  config.precision = "bf16";
  config.eps = {{"36/255", 36.0 / 255}, {"1.58", 1.58}};
  config.seed = 7;
  config.threads = 2;
  return config;
}

// The example's text with one line replaced.
std::string edited(std::string_view old_line, std::string_view new_line) {
  std::string text = to_toml(example());
  const std::size_t at = text.find(old_line);
  REQUIRE(at != std::string::npos);
  return text.replace(at, old_line.size(), new_line);
}

}  // namespace

TEST_SUITE_BEGIN("apps/run_config");

TEST_CASE("run_config: what is written reads as an equal configuration, to the last bit") {
  const ScratchFolder folder;
  write_run_config(folder / "config.toml", example());
  CHECK(read_run_config(folder / "config.toml") == example());
  CHECK(folder.entries() == 1);
}

TEST_CASE("run_config: train --config takes a run's file") {
  const ScratchFolder folder;
  write_run_config(folder / "config.toml", example());
  TrainOptions options;
  options.lr = 0.25;
  read_config(folder / "config.toml", options);
  CHECK(options.lr == 0.25);
  CHECK(options.margin == example().margin);
  CHECK(options.model == example().model);
  CHECK(options.layers == example().layers);
  CHECK(options.eps == example().eps);

  TrainOptions other_model;
  other_model.model = "fc-3";
  read_config(folder / "config.toml", other_model);
  CHECK(other_model.model == "fc-3");
  CHECK(other_model.layers.empty());
}

TEST_CASE("run_config: what a file lacks, misspells or has out of range is named with its place") {
  const ScratchFolder folder;
  const auto error_for = [&](const std::string& text) {
    const auto path = folder.put("c.toml", text);
    return folder.error<DataError>([&] { read_run_config(path); });
  };
  CHECK(error_for(edited("lr = 0.001", "lr = \"fast\"")) ==
        "DIR/c.toml:18:6: lr: expected a number > 0, got 'fast'");
  CHECK(error_for(edited("lr = 0.001", "lr = nan")) ==
        "DIR/c.toml:18:6: lr: expected a number > 0, got nan");
  CHECK(error_for(edited("epochs = 5", "epochs = 5.5")) ==
        "DIR/c.toml:12:10: epochs: expected an integer >= 1, got 5.5");
  CHECK(error_for(edited("epochs = 5", "epoch = 5")) ==
        "DIR/c.toml:12:1: expected a setting of `isotape train`, got 'epoch'; did you mean "
        "epochs?");
  CHECK(error_for(edited("epochs = 5\n", "")) ==
        "DIR/c.toml:1:1: expected a value of epochs, got none");
  CHECK(error_for(edited("\"36/255\"", "\"36/0\"")) ==
        "DIR/c.toml:26:7: eps: expected radii > 0 such as 0.3 or 36/255, got '36/0'");
  CHECK(error_for("lr = = 1") ==
        "DIR/c.toml:1:6: not TOML: Error while parsing value: could not determine value type");
  CHECK(folder.error<DataError>([&] { read_run_config(folder / "none.toml"); })
            .starts_with("read: DIR/none.toml: "));
}

TEST_CASE("read_config: a configuration that is at fault is a mistake of usage") {
  const ScratchFolder folder;
  TrainOptions options;
  const auto path = folder.put("c.toml", "momentum = 0.9\n");
  CHECK(folder.error<UsageError>([&] { read_config(path, options); }) ==
        "DIR/c.toml:1:1: expected a setting of `isotape train`, got 'momentum'");
  CHECK(folder.error<UsageError>([&] { read_config(folder / "none", options); })
            .starts_with("read: DIR/none: "));
}

TEST_CASE("read_config: radii may be words or numbers, one or several") {
  const ScratchFolder folder;
  const auto eps_of = [&](const std::string& text) {
    TrainOptions options;
    read_config(folder.put("c.toml", text), options);
    return options.eps;
  };
  CHECK(eps_of("eps = 0.3") == std::vector<Eps>{{"0.3", 0.3}});
  CHECK(eps_of("eps = [1, \"36/255\"]") == std::vector<Eps>{{"1", 1}, {"36/255", 36.0 / 255}});
  CHECK(eps_of("eps = \"0.1,0.2\"") == std::vector<Eps>{{"0.1", 0.1}, {"0.2", 0.2}});
}

TEST_SUITE_END();
