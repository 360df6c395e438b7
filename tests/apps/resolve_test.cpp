#include <doctest/doctest.h>
#include <cmath>
#include <filesystem>
#include <support/scratch_folder.hpp>

#include <isotape/apps/errors.hpp>
#include <isotape/apps/resolve.hpp>
#include <isotape/ops/product_bf16.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/resolve");

TEST_CASE("resolve: the defaults for images in gray are those of the reference recipe") {
  const RunConfig config = resolve({});
  CHECK(config.model == "bcop-small");
  CHECK(config.dataset == "fashion-mnist");
  CHECK(config.data.empty());
  CHECK(config.augment == "off");
  CHECK(config.epochs == 5);
  CHECK(config.batch == 128);
  CHECK(config.loss == "multi-margin");
  CHECK(config.margin == 1.5 * std::sqrt(2.0));
  CHECK(config.optimizer == "adam");
  CHECK(config.lr == 1e-3);
  CHECK(config.schedule == "exponential");
  CHECK(config.orthogonal_update == "reparametrize");
  CHECK(config.precision == "f32");
  CHECK(config.eps == std::vector<Eps>{{"0.3", 0.3}, {"1.58", 1.58}});
  CHECK(config.threads >= 1);
}

TEST_CASE("resolve: bf16 is taken where the CPU has it and refused elsewhere") {
  constexpr const char* refusal =
      "precision: expected f32 on a CPU without AVX512-BF16 or AMX, got bf16";
  CHECK_NOTHROW(check_precision("f32", false));
  CHECK_NOTHROW(check_precision("bf16", true));
  CHECK_THROWS_WITH_AS(check_precision("bf16", false), refusal, UsageError);

  TrainOptions options;
  options.precision = "bf16";
  RunConfig stored;
  stored.precision = "bf16";
  if (cpu_has_bf16()) {
    CHECK(resolve(options).precision == "bf16");
    CHECK(resolve(options).product_precision() == Precision::bf16);
    CHECK(resolve({}).product_precision() == Precision::full);
    CHECK(resume(stored, {}).precision == "bf16");
  } else {
    CHECK_THROWS_WITH_AS(resolve(options), refusal, UsageError);
    CHECK_THROWS_WITH_AS(resume(stored, {}), refusal, UsageError);
  }
}

TEST_CASE("resolve: images in colour are augmented and have other margins and radii") {
  TrainOptions options;
  options.dataset = "cifar10";
  const RunConfig config = resolve(options);
  CHECK(config.augment == "on");
  CHECK(config.margin == 0.5 * std::sqrt(2.0));
  CHECK(config.eps.size() == 3);
  CHECK(config.eps[0] == Eps{"36/255", 36.0 / 255});
}

TEST_CASE("resolve: retracted weights have a rate of their own") {
  TrainOptions options;
  options.orthogonal_update = "retract";
  CHECK(resolve(options).lr == 2e-3);
  options.lr = 1e-4;
  CHECK(resolve(options).lr == 1e-4);
}

TEST_CASE("resolve: what is chosen stays, and a folder becomes absolute") {
  TrainOptions options;
  options.lr = 0.5;
  options.augment = "off";
  options.dataset = "cifar10";
  options.data = "some/../data";
  const RunConfig config = resolve(options);
  CHECK(config.lr == 0.5);
  CHECK(config.augment == "off");
  CHECK(config.data == (std::filesystem::current_path() / "data").string());
}

TEST_CASE("resolve: a model file becomes part of the configuration") {
  const ScratchFolder folder;
  TrainOptions options;
  options.model =
      folder.put("m.toml", "name = \"mine\"\n[[layer]]\nname = \"f\"\ntype = \"abs\"\n");
  const RunConfig config = resolve(options);
  CHECK(config.model == "mine");
  CHECK(config.layers == std::vector<LayerSpec>{{"f", "abs", {}}});
}

TEST_CASE("resume: keeps what is stored but the folder of data and the threads that are named") {
  TrainOptions options;
  options.lr = 0.5;
  options.threads = 3;
  const RunConfig stored = resolve(options);
  CHECK(to_toml(resume(stored, {})) == to_toml(stored));
  TrainOptions moved;
  moved.data = "some/../data";
  moved.threads = 1;
  const RunConfig config = resume(stored, moved);
  CHECK(config.data == (std::filesystem::current_path() / "data").string());
  CHECK(config.threads == 1);
  CHECK(config.lr == 0.5);
}

TEST_CASE("resolve: refuses unknown data and crops of points") {
  const ScratchFolder folder;
  TrainOptions options;
  options.dataset = "mnits";
  CHECK(
      folder.error<UsageError>([&] { resolve(options); }) ==
      "dataset: expected one of mnist, fashion-mnist, cifar10, glyphs, moons, rings, clusters, got "
      "'mnits'; did you mean mnist?");
  options.dataset = "moons";
  options.augment = "on";
  CHECK(folder.error<UsageError>([&] { resolve(options); }) ==
        "--augment: expected off for points, which have no crops, got on");
}

TEST_SUITE_END();
