#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include <isotape/apps/attack_evaluation.hpp>
#include <isotape/core/error.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/attack_evaluation");

namespace {

// Three classes on two numbers, each with a direction of its own: a linear net.
Model fan() {
  Model model = build_model({"fan",
                             {{"flatten", "flatten", {}},
                              {"fc",
                               "linear",
                               {{"out", std::string("classes")},
                                {"constraint", std::string("unconstrained")},
                                {"bias", false}}}}},
                            {1, 1, 2}, 3, Rng(0));
  const double r = std::sqrt(0.75);
  model.net.parameters()[0].parameter->write() = Tensor::of({1, 0, -0.5, r, -0.5, -r}, {3, 2});
  return model;
}

Split points() {
  Split split;
  Rng rng(5);
  split.images = random_normal(rng, {40, 1, 1, 2});
  const Tensor logits = fan().net.forward(split.images).value();
  for (std::int64_t i = 0; i < 40; ++i) {
    int best = 0;
    for (int j = 1; j < 3; ++j) {
      if (logits.at(3 * i + j) > logits.at(3 * i + best)) best = j;
    }
    split.labels.push_back(i % 10 == 3 ? (best + 1) % 3 : best);
  }
  return split;
}

const std::vector<Eps> radii = {{"0.9", 0.9}, {"0.2", 0.2}};

AttackEvaluation attacked(const Evaluation& evaluation, const char* attacks,
                          AttackEvaluationOptions options = {}) {
  Model model = fan();
  if (options.images == 0) options.images = 40;
  return evaluate_attacks(model, points(), evaluation, make_attacks(attacks), radii, options);
}

Evaluation evaluated() {
  Model model = fan();
  return evaluate(model, points(), values(radii));
}

}  // namespace

TEST_CASE("evaluate_attacks: certified <= attacked, in both norms; stronger attacks leave less") {
  const AttackEvaluation result =
      attacked(evaluated(), "pgd:steps=60;fgsm;pgd:norm=inf;pgd:steps=3");
  CHECK(result.images == 40);
  CHECK(result.clean_accuracy == 90);
  CHECK(result.broken.empty());
  CHECK(result.only_rounding == 0);
  CHECK_FALSE(result.range.is_bounded());
  REQUIRE(result.sandwiches.size() == 2);
  for (const Sandwich& sandwich : result.sandwiches) {
    for (std::size_t e = 0; e < 2; ++e) CHECK(sandwich.certified[e] <= sandwich.attacked[e]);
  }
  CHECK(result.sandwiches[1].norm == BallNorm::linf);
  CHECK(result.sandwiches[1].certified[1] <= result.sandwiches[0].certified[1]);
  REQUIRE(result.outcomes.size() == 4);
  CHECK(result.outcomes[3].label == "pgd 3");
  // The bound of a fan's margin is off by 2 / sqrt(3): sqrt(2) L = sqrt(2) sqrt(1.5), the margin's
  // own norm is sqrt(3).
  CHECK(result.outcomes[0].accuracy[0] < 50);
  CHECK(result.outcomes[0].accuracy[0] <= result.outcomes[1].accuracy[0]);
  CHECK(result.sandwiches[0].attacked[0] <= result.outcomes[0].accuracy[0]);
  for (std::size_t i = 0; i < 40; ++i) {
    const double distance = result.outcomes[0].distance[i];
    if (i % 10 == 3) CHECK(distance == 0);
    CHECK((distance <= 0.9 || std::isinf(distance)));
  }
}

TEST_CASE("evaluate_attacks: the first images alone, by any batch, with one call per batch") {
  std::int64_t calls = 0;
  AttackEvaluationOptions options;
  options.images = 25;
  options.batch = 7;
  options.progress = [&](const AttackEvaluationOptions::Progress& progress) {
    ++calls;
    CHECK(progress.done <= progress.total);
    CHECK(progress.broken >= 3);  // wrong from the start
    if (calls == 1) CHECK(progress.what == "pgd at 0.2");
  };
  const AttackEvaluation some = attacked(evaluated(), "pgd:restarts=2", options);
  CHECK(calls >= 4);
  CHECK(some.images == 25);
  const AttackEvaluation all = attacked(evaluated(), "pgd:restarts=2");
  for (std::size_t i = 0; i < 25; ++i) {
    const double difference = some.outcomes[0].distance[i] - all.outcomes[0].distance[i];
    CHECK((std::isnan(difference) || std::abs(difference) < 1e-6));  // inf - inf
  }
}

TEST_CASE("evaluate_attacks: an input within a certified radius breaks the certificate") {
  Evaluation lying = evaluated();
  for (double& radius : lying.radii) radius *= 1.5;
  const AttackEvaluation result = attacked(lying, "pgd:steps=200");
  REQUIRE_FALSE(result.broken.empty());
  Model model = fan();
  for (const BrokenCertificate& broken : result.broken) {
    CHECK(broken.attack == "pgd");
    CHECK(broken.l2 < broken.radius);
    CHECK(broken.found_class != broken.label);
    CHECK(broken.original.shape() == Shape{1, 1, 2});
    Tensor difference = broken.adversarial.clone();
    add_in_place(difference, broken.original, -1);
    CHECK(frobenius_norm(difference) == doctest::Approx(broken.l2));
  }
}

TEST_CASE("evaluate_attacks: what rounding alone breaks is told apart, and not counted") {
  // Logits of 3e7 + x are even numbers in f32: at x = (2.499, 2.501) they are equal, and the lowest
  // class is predicted; in f64 the second one still wins.
  Model model = build_model({"noisy",
                             {{"flatten", "flatten", {}},
                              {"fc",
                               "linear",
                               {{"out", std::string("classes")},
                                {"constraint", std::string("unconstrained")},
                                {"bias", true}}}}},
                            {1, 1, 2}, 2, Rng(0));
  model.net.parameters()[0].parameter->write() = Tensor::of({1, 0, 0, 1}, {2, 2});
  model.net.parameters()[1].parameter->write() = Tensor::full({2}, 3e7, DType::f32);
  Split split;
  split.images = Tensor::of({1, 4}, {1, 1, 1, 2});
  split.labels = {1};
  Evaluation evaluation;
  evaluation.radii = {100};
  evaluation.classes = {1};
  AttackEvaluationOptions options;
  options.images = 1;
  const AttackEvaluation result =
      evaluate_attacks(model, split, evaluation, make_attacks("fgsm"), {{"2.12", 2.12}}, options);
  CHECK(result.broken.empty());
  CHECK(result.only_rounding == 1);
  CHECK(result.outcomes[0].accuracy[0] == 100);
}

TEST_CASE("pixel_range: [0, 1] for pixels, none for other numbers") {
  Split split;
  split.images = Tensor(Shape{1, 1, 1, 1}, DType::u8);
  CHECK(pixel_range(split).is_bounded());
  split.images = Tensor::of({0, 1}, {1, 1, 2, 1});
  CHECK(pixel_range(split).high == 1);
  split.images = Tensor::of({0, 1.01}, {1, 1, 2, 1});
  CHECK_FALSE(pixel_range(split).is_bounded());
}

TEST_SUITE_END();
