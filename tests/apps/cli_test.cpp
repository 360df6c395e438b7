#include <doctest/doctest.h>
#include <algorithm>
#include <support/scratch_folder.hpp>

#include <isotape/apps/cli.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/optim/training_loss.hpp>

using namespace isotape;

namespace {

const std::vector<std::string_view> every_command = {
    "train", "eval", "audit", "bench", "export", "models", "layers", "datasets", "doctor"};

CommandOptions parse(const std::vector<std::string>& arguments) {
  return parse_command_line(arguments, every_command);
}

template <class Options>
Options parsed(const std::vector<std::string>& arguments) {
  return std::get<Options>(parse(arguments));
}

std::string text(const std::vector<std::string>& arguments) {
  return parsed<TextRequest>(arguments).text;
}

// What is refused, and in which words.
std::string refusal(const std::vector<std::string>& arguments) {
  return ScratchFolder().error<UsageError>([&] { parse(arguments); });
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE_BEGIN("apps/cli");

TEST_CASE("cli: train's flags fill its options, and leave the rest unset") {
  const auto train = parsed<TrainOptions>(
      {"train",   "--model",     "fc-3",    "--lr=1e-2",     "--epochs",    "7",
       "--eps",   "36/255,1.58", "--loss",  "cross-entropy", "--optimizer", "sgd:momentum=0.9",
       "--seed",  "3",           "--quiet", "--max-steps",   "10",          "--orthogonal-update",
       "retract", "--out",       "runs/a"});
  CHECK(train.model == "fc-3");
  CHECK(train.lr == 1e-2);
  CHECK(train.epochs == 7);
  CHECK(train.eps == std::vector<Eps>{{"36/255", 36.0 / 255}, {"1.58", 1.58}});
  CHECK(train.loss == "cross-entropy");
  CHECK(train.optimizer == "sgd:momentum=0.9");
  CHECK(train.seed == 3);
  CHECK(train.max_steps == 10);
  CHECK(train.orthogonal_update == "retract");
  CHECK(train.out == "runs/a");
  CHECK(train.quiet);
  CHECK_FALSE(train.batch);
  CHECK_FALSE(train.dataset);
  CHECK_FALSE(train.json);
}

TEST_CASE("cli: the other commands' flags fill their options") {
  const auto eval = parsed<EvalOptions>({"eval", "runs/a", "--eps", "0.3", "--json", "--batch=9"});
  CHECK(eval.run == "runs/a");
  CHECK(eval.eps == std::vector<Eps>{{"0.3", 0.3}});
  CHECK(eval.batch == 9);
  CHECK(eval.json);
  CHECK_FALSE(eval.attack);
  const auto attacked = parsed<EvalOptions>(
      {"eval", "r", "--attack", "pgd:steps=9;fgsm", "--attack-images=100", "--attack-seed", "3"});
  CHECK(attacked.attack == "pgd:steps=9;fgsm");
  CHECK(attacked.attack_images == 100);
  CHECK(attacked.attack_seed == 3);
  const auto audit = parsed<AuditOptions>({"audit", "--html", "runs/a", "--data", "d"});
  CHECK(audit.run == "runs/a");
  CHECK(audit.data == "d");
  CHECK(audit.html);
  const auto file = parsed<ExportOptions>(
      {"export", "runs/a", "--to", "safetensors", "--out", "w.safetensors", "--json"});
  CHECK(file.to == "safetensors");
  CHECK(file.out == "w.safetensors");
  CHECK(file.json);
  const auto models = parsed<ModelsOptions>({"models", "fc-3", "--input", "32x32x3", "--toml"});
  CHECK(models.name == "fc-3");
  CHECK(models.input == std::vector<std::int64_t>{32, 32, 3});
  CHECK(models.toml);
  CHECK(parsed<LayersOptions>({"layers", "--json"}).json);
  CHECK(parsed<DatasetsOptions>({"datasets", "--data", "d"}).data == "d");
  CHECK(parsed<DoctorOptions>({"doctor", "--threads", "2"}).threads == 2);
}

TEST_CASE("cli: bench's flags fill the options of what is measured") {
  const auto step = std::get<BenchStepOptions>(
      parsed<BenchOptions>({"bench", "step", "--model", "mlp-3", "--dataset", "mnist", "--batch",
                            "9", "--threads", "2", "--orthogonal-update", "retract",
                            "--repetitions", "3", "--warmup", "4", "--seed", "5", "--json"})
          .what);
  CHECK(step.train.model == "mlp-3");
  CHECK(step.train.dataset == "mnist");
  CHECK(step.train.batch == 9);
  CHECK(step.train.threads == 2);
  CHECK(step.train.seed == 5);
  CHECK(step.train.orthogonal_update == "retract");
  CHECK(step.repetitions == 3);
  CHECK(step.warmup == 4);
  CHECK(step.json);
  const auto plain = std::get<BenchStepOptions>(parsed<BenchOptions>({"bench", "--batch=3"}).what);
  CHECK(plain.train.batch == 3);
  CHECK(plain.repetitions == 20);
  const auto matrices = std::get<BenchOrthogonalizeOptions>(
      parsed<BenchOptions>({"bench", "orthogonalize", "--matrices", "8x9,2x3x4", "--methods",
                            "fast", "--kappa", "3", "--threads=1", "--repetitions=2", "--json"})
          .what);
  CHECK(matrices.matrices == std::vector<std::vector<std::int64_t>>{{8, 9}, {2, 3, 4}});
  CHECK(matrices.methods == std::vector<std::string>{"fast"});
  CHECK(matrices.kappa == 3);
  CHECK(matrices.threads == 1);
  CHECK(matrices.repetitions == 2);
  CHECK(matrices.json);
  const auto ops = std::get<BenchOpsOptions>(
      parsed<BenchOptions>({"bench", "ops", "--ops", "pad,adam", "--batch=7", "--repetitions=2"})
          .what);
  CHECK(ops.ops == std::vector<std::string>{"pad", "adam"});
  CHECK(ops.batch == 7);
  CHECK(ops.repetitions == 2);
  const auto eval = std::get<BenchEvalOptions>(
      parsed<BenchOptions>({"bench", "eval", "--model", "fc-3", "--batches", "1,9"}).what);
  CHECK(eval.train.model == "fc-3");
  CHECK(eval.batches == std::vector<std::int64_t>{1, 9});
  const auto scaling = std::get<BenchScalingOptions>(
      parsed<BenchOptions>({"bench", "scaling", "--threads", "1,4", "--work", "evaluation"}).what);
  CHECK(scaling.threads == std::vector<std::int64_t>{1, 4});
  CHECK(scaling.work == "evaluation");
}

TEST_CASE("cli: values out of range are refused, naming flag and value") {
  CHECK(refusal({"train", "--lr", "nan"}) == "--lr: expected a number > 0, got 'nan'");
  CHECK(refusal({"train", "--lr", "-1"}) == "--lr: expected a number > 0, got '-1'");
  CHECK(refusal({"train", "--epochs", "0"}) == "--epochs: expected an integer >= 1, got '0'");
  CHECK(refusal({"train", "--batch", "1e3"}) ==
        "--batch: expected an integer in 1..65536, got '1e3'");
  CHECK(refusal({"train", "--seed", "-1"}) == "--seed: expected an integer >= 0, got '-1'");
  CHECK(refusal({"train", "--margin", "0"}) == "--margin: expected a number > 0, got '0'");
  CHECK(refusal({"train", "--eps", "36/0"}) ==
        "--eps: expected radii > 0 such as 0.3 or 36/255, got '36/0'");
  CHECK(refusal({"eval", "r", "--eps", "abc"}) ==
        "--eps: expected radii > 0 such as 0.3 or 36/255, got 'abc'");
  CHECK(refusal({"eval", "r", "--attack-images", "0"}) ==
        "--attack-images: expected an integer >= 1, got '0'");
  CHECK(refusal({"models", "--input", "0x0"}) ==
        "--input: expected extents >= 1 such as 28x28x1, got '0x0'");
  CHECK(refusal({"export", "r", "--to", "onnx", "--out", "f"}) ==
        "--to: expected safetensors, got 'onnx'");
}

TEST_CASE("cli: what is unknown or missing is refused with a hint") {
  CHECK(refusal({}) == "expected a command; see `isotape --help`");
  CHECK(refusal({"trian"}) == "unknown command 'trian'; did you mean train?");
  CHECK(refusal({"train", "--epoch", "3"}) ==
        "train: unknown flag '--epoch'; did you mean --epochs?");
  CHECK(refusal({"train", "--banana"}) ==
        "train: unknown flag '--banana'; see `isotape train --help`");
  CHECK(refusal({"train", "runs/a"}) ==
        "train: unknown argument 'runs/a'; see `isotape train --help`");
  CHECK(refusal({"eval", "--jsn"}) == "eval: unknown flag '--jsn'; did you mean --json?");
  CHECK(refusal({"eval"}) == "eval: RUN is required; see `isotape eval --help`");
  CHECK(contains(refusal({"train", "--lr"}), "train: --lr"));
  CHECK(contains(refusal({"train", "--lr", "1", "--lr", "2"}), "train: --lr"));
}

TEST_CASE("cli: a resumed run keeps its settings; its folder of data may be another") {
  CHECK(
      parsed<TrainOptions>({"train", "--resume", "r", "--data", "d", "--max-steps", "3"}).resume ==
      "r");
  CHECK(refusal({"train", "--resume", "r", "--lr", "1"}) ==
        "train: expected no --lr with --resume, which continues a run as it was configured");
  CHECK(refusal({"train", "--resume", "r", "--out", "q"}) ==
        "train: expected no --out with --resume, which continues a run as it was configured");
  CHECK(refusal({"train", "--resume", "r", "--config", "c"}) ==
        "train: expected no --config with --resume, which continues a run as it was configured");
}

TEST_CASE("cli: flags override the file of --config, wherever they stand") {
  const ScratchFolder folder;
  const std::string file = folder.put("a.toml", "lr = 0.5\nepochs = 3\neps = [\"36/255\"]\n");
  const auto train = parsed<TrainOptions>({"train", "--lr", "0.1", "--config", file});
  CHECK(train.lr == 0.1);
  CHECK(train.epochs == 3);
  CHECK(train.eps == std::vector<Eps>{{"36/255", 36.0 / 255}});
  CHECK_FALSE(train.batch);
}

TEST_CASE("cli: help stands at every level, with units, choices and defaults") {
  const std::string top = text({"--help"});
  for (const std::string_view command : every_command) {
    CAPTURE(command);
    CHECK(contains(top, command));
    CHECK(
        contains(text({std::string(command), "--help"}), "Usage: isotape " + std::string(command)));
  }
  const std::string train = text({"train", "-h"});
  CHECK(contains(train, "--loss NAME[:KEY=X,...]"));
  for (const LossInfo& info : loss_infos()) CHECK(contains(train, "  " + std::string(info.name)));
  CHECK(contains(train, "certificate-regularized:gamma=0.5\n"));
  CHECK(contains(train, "pixels in [0, 1]"));
  CHECK(contains(train, "[128]"));
  CHECK(text({"--version"}).starts_with("isotape "));
}

TEST_CASE("cli: only the commands that are offered are known") {
  CHECK_THROWS_WITH_AS(parse_command_line({"train"}, {"doctor"}),
                       "unknown command 'train'; see `isotape --help`", UsageError);
}

TEST_CASE("cli: no line of a help is longer than a page is wide") {
  std::vector<std::vector<std::string>> commands;
  commands.reserve(std::size(every_command));
  for (const std::string_view command : every_command) commands.push_back({std::string(command)});
  for (const char* what : {"step", "ops", "orthogonalize", "eval", "scaling"}) {
    commands.push_back({"bench", what});
    CHECK(contains(text({"bench", what, "--help"}), std::string("Usage: isotape bench ") + what));
  }
  for (std::vector<std::string>& command : commands) {
    command.emplace_back("--help");
    const std::string help = text(command);
    for (std::size_t begin = 0; begin < help.size();) {
      const std::size_t end = std::min(help.find('\n', begin), help.size());
      CAPTURE(help.substr(begin, end - begin));
      CHECK(end - begin <= 110);
      begin = end + 1;
    }
  }
}

TEST_SUITE_END();
