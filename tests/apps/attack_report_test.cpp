#include <doctest/doctest.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <support/captured_output.hpp>
#include <support/scratch_folder.hpp>

#include <isotape/apps/attack_report.hpp>
#include <isotape/apps/commands.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/image_file.hpp>
#include <isotape/apps/resolve.hpp>
#include <isotape/core/npy.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/layers/checkpoint.hpp>

using namespace isotape;

namespace {

const std::vector<Eps> radii = {{"0.1", 0.1}, {"36/255", 36.0 / 255}};

AttackEvaluation found() {
  const double none = std::numeric_limits<double>::infinity();
  AttackEvaluation evaluation;
  evaluation.images = 4;
  evaluation.seed = 7;
  evaluation.range = {0, 1};
  evaluation.clean_accuracy = 75;
  evaluation.outcomes = {{"pgd",
                          "pgd",
                          {{"steps", "9"}},
                          BallNorm::l2,
                          AttackGoal::within_eps,
                          {0, 0.1, none, none},
                          {50, 50}},
                         {"deepfool",
                          "deepfool",
                          {{"norm", "2"}},
                          BallNorm::l2,
                          AttackGoal::nearest,
                          {0, 0.2, 0.3, 0.4},
                          {75, 75}}};
  evaluation.sandwiches = {{BallNorm::l2, {50, 25}, {50, 50}}};
  return evaluation;
}

BrokenCertificate broken() {
  return {3, 1, 2, "pgd 2", 0.25, 0.5, Tensor::zeros({2, 2, 1}), Tensor::full({2, 2, 1}, 0.125)};
}

// A run on points, which need no file.
void write_run(const ScratchFolder& folder) {
  TrainOptions options;
  options.model = "fc-3";
  options.dataset = "moons";
  options.threads = num_threads();
  write_run_config(folder / "config.toml", resolve(options));
  const ModelSpec spec{"small",
                       {{"flatten", "flatten", {}},
                        {"fc1", "linear", {{"out", std::int64_t{8}}}},
                        {"act1", "maxmin", {}},
                        {"fc2", "linear", {{"out", std::string("classes")}}}}};
  Model model = build_model(spec, {1, 1, 2}, 2, Rng(1));
  save_model(folder / "model.safetensors", model);
}

}  // namespace

TEST_SUITE_BEGIN("apps/attack_report");

TEST_CASE("attack_text: a row per norm and eps, a line per attack") {
  AttackEvaluation evaluation = found();
  const std::string text = attack_text(evaluation, radii);
  CHECK(text.find("percent of the first 4 images: certified <= true <= attacked") !=
        std::string::npos);
  CHECK(text.find("clean 75.00, pixels kept in [0, 1], seed 7") != std::string::npos);
  CHECK(text.find("l2      certified  attacked    pgd  deepfool\n") != std::string::npos);
  CHECK(text.find("36/255      25.00     50.00  50.00     75.00\n") != std::string::npos);
  CHECK(text.find("linf") == std::string::npos);
  CHECK(text.find("\npgd: steps=9\ndeepfool: norm=2; median distance 0.3\n") != std::string::npos);
  CHECK(text.find("rounding") == std::string::npos);
  evaluation.only_rounding = 2;
  CHECK(attack_text(evaluation, radii).find("\n2 inputs within a certified radius change") !=
        std::string::npos);
}

TEST_CASE("attack_json: settings in effect, accuracy by eps") {
  AttackEvaluation evaluation = found();
  evaluation.broken = {broken()};
  const auto json = nlohmann::json::parse(attack_json(evaluation, radii));
  CHECK(json["images"] == 4);
  CHECK(json["pixel_range"] == nlohmann::json::array({0.0, 1.0}));
  CHECK(json["norms"][0]["certified_accuracy"]["36/255"] == 25);
  CHECK(json["norms"][0]["attacked_accuracy"]["0.1"] == 50);
  CHECK(json["attacks"][0]["settings"]["steps"] == 9);
  CHECK(json["attacks"][1]["accuracy"]["0.1"] == 75);
  CHECK(json["attacks"][1]["median_distance"] == 0.3);
  CHECK(json["broken_certificates"][0]["image"] == 3);
  CHECK(json["broken_certificates"][0]["certified_radius"] == 0.5);
}

TEST_CASE("check_order: a broken certificate is a failed check, its images are saved") {
  const ScratchFolder folder;
  AttackEvaluation evaluation = found();
  check_order(evaluation, {});
  CHECK(save_broken(folder / "broken", evaluation).empty());
  CHECK(folder.entries() == 0);

  evaluation.broken = {broken()};
  const auto saved = save_broken(folder / "broken", evaluation);
  REQUIRE(saved.size() == 4);
  CHECK(saved[0] == folder / "broken/3-pgd-2-adversarial.npy");
  CHECK(saved[3] == folder / "broken/3-pgd-2-original.pgm");
  CHECK(max_abs_diff(load_npy(saved[0]), Tensor::full({2, 2, 1}, 0.125)) == 0);
  CHECK(max_abs(load_npy(saved[2])) == 0);
  CHECK(folder.error<CheckError>([&] { check_order(evaluation, saved); }) ==
        "eval: expected no other class within a certified radius, got class 2 for label 1 by pgd 2 "
        "at l2 distance 0.25 from image 3, certified to 0.5; 1 in all; saved "
        "DIR/broken/3-pgd-2-adversarial.npy");
}

TEST_CASE("check_order: certified above attacked accuracy is a failed check") {
  AttackEvaluation evaluation = found();
  evaluation.sandwiches[0].certified[1] = 60;
  CHECK_THROWS_WITH_AS(check_order(evaluation, {}),
                       "eval: expected certified <= attacked accuracy, got 60 and 50", CheckError);
}

TEST_CASE("write_image: PGM and PPM, rounded to 8 bits") {
  const ScratchFolder folder;
  CHECK(write_image(folder / "grey", Tensor::of({0, 0.5, 1, 2}, {2, 2, 1})) == folder / "grey.pgm");
  CHECK(folder.get("grey.pgm") == std::string("P5\n2 2\n255\n\x00\x80\xff\xff", 15));
  CHECK(write_image(folder / "colour", Tensor::of({1, 0, 0}, {1, 1, 3})) == folder / "colour.ppm");
  CHECK(folder.get("colour.ppm") == std::string("P6\n1 1\n255\n\xff\x00\x00", 14));
  CHECK_THROWS_WITH_AS(write_image(folder / "x", Tensor({1, 1, 2})),
                       "write_image: expected an image [H, W, 1] or [H, W, 3], got [1, 1, 2]",
                       ShapeError);
}

TEST_CASE("eval --attack: the table, the JSON, and what it refuses") {
  const ScratchFolder folder;
  write_run(folder);
  EvalOptions options;
  options.run = folder.path().string();
  options.attack = "pgd:steps=5;fgsm:norm=inf";
  options.attack_images = 50;
  {
    const CapturedOutput output;
    CHECK(run_eval(options) == exit_ok);
    CHECK(output.out().find("percent of the first 50 images") != std::string::npos);
    CHECK(output.out().find("entries without limits, seed 0") != std::string::npos);
    CHECK(output.out().find("\nlinf  certified  attacked") != std::string::npos);
    CHECK(output.out().find("\nfgsm: norm=inf,loss=margin,target=none\n") != std::string::npos);
  }
  options.json = true;
  {
    const CapturedOutput output;
    CHECK(run_eval(options) == exit_ok);
    CHECK(output.err().empty());
    const auto json = nlohmann::json::parse(output.out());
    CHECK(json["images"].get<int>() > 50);
    CHECK(json["under_attack"]["images"] == 50);
    CHECK(json["under_attack"]["norms"].size() == 2);
    CHECK(json["under_attack"]["attacks"][0]["settings"]["alpha"] == "eps/10");
    CHECK(json["under_attack"]["broken_certificates"].empty());
  }
  options.attack = "pgd:norm=3";
  CHECK(folder.error<ValueError>([&] { run_eval(options); }) ==
        "pgd: expected norm among 2, inf, got '3'");
  options.attack.reset();
  CHECK(folder.error<UsageError>([&] { run_eval(options); }) ==
        "eval: expected --attack with --attack-images");
}

TEST_SUITE_END();
