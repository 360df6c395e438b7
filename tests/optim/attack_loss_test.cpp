#include <doctest/doctest.h>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/optim/attack_loss.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("optim/attack_loss");

namespace {

constexpr AttackObjective objectives[] = {AttackObjective::margin, AttackObjective::cross_entropy,
                                          AttackObjective::dlr};

double value(AttackObjective objective, const Tensor& logits, std::int32_t label,
             std::int32_t target) {
  return attack_loss(objective, logits, std::vector{label}, std::vector{target}).value[0];
}

}  // namespace

TEST_CASE("attack_loss: values by their formulas") {
  const Tensor f = Tensor::of({1, 3, 2.5, -1, 0}, {1, 5}, DType::f64);
  CHECK(value(AttackObjective::margin, f, 1, no_target) == doctest::Approx(-0.5));
  CHECK(value(AttackObjective::margin, f, 1, 3) == doctest::Approx(-4));
  double sum = 0;
  for (int j = 0; j < 5; ++j) sum += std::exp(f.at(j));
  CHECK(value(AttackObjective::cross_entropy, f, 1, no_target) ==
        doctest::Approx(std::log(sum) - 3));
  CHECK(value(AttackObjective::cross_entropy, f, 1, 4) == doctest::Approx(0 - std::log(sum)));
  CHECK(value(AttackObjective::dlr, f, 1, no_target) == doctest::Approx(-0.5 / (3 - 1)));
  CHECK(value(AttackObjective::dlr, f, 1, 2) == doctest::Approx(-0.5 / (3 - (1 + 0.0) / 2)));
  CHECK(value(AttackObjective::dlr, f, 1, 1) == doctest::Approx(-0.25));  // no target then
}

TEST_CASE("attack_loss: the seed is the gradient, scaled to a largest entry of 1") {
  Rng rng(1);
  for (int trial = 0; trial < 20; ++trial) {
    const Tensor f = random_normal(rng, {1, 6}, 1, DType::f64);
    const auto label = static_cast<std::int32_t>(rng.below(6));
    for (const std::int32_t target : {no_target, static_cast<std::int32_t>(rng.below(6))}) {
      for (const AttackObjective objective : objectives) {
        const AttackLoss loss = attack_loss(objective, f, std::vector{label}, std::vector{target});
        std::vector<double> slope(6);
        double largest = 0;
        for (int j = 0; j < 6; ++j) {
          Tensor up = f.clone();
          Tensor down = f.clone();
          up.write<double>()[j] += 1e-6;
          down.write<double>()[j] -= 1e-6;
          slope[j] =
              (value(objective, up, label, target) - value(objective, down, label, target)) / 2e-6;
          largest = std::max(largest, std::abs(slope[j]));
        }
        for (int j = 0; j < 6; ++j) {
          // dlr is constant where label and runner-up are the first and the third of the order.
          const double expected = largest > 1e-9 ? slope[j] / largest : 0;
          CHECK(loss.seed.at(j) == doctest::Approx(expected).epsilon(1e-6));
        }
      }
    }
  }
}

TEST_CASE("attack_loss: a saturated cross entropy still tells the way") {
  const Tensor f = Tensor::of({0, 600, 590}, {1, 3}, DType::f64);
  const AttackLoss loss =
      attack_loss(AttackObjective::cross_entropy, f, std::vector{1}, std::vector{no_target});
  CHECK(loss.seed.at(1) == doctest::Approx(-1));
  CHECK(loss.seed.at(2) == doctest::Approx(1));
}

TEST_CASE("attack_loss: equal logits give a finite seed") {
  const Tensor f = Tensor::zeros({1, 4}, DType::f64);
  for (const AttackObjective objective : objectives) {
    CHECK(all_finite(attack_loss(objective, f, std::vector{1}, std::vector{2}).seed));
  }
}

TEST_CASE("targets_of, ranked_class, predicted: classes by the order of the logits") {
  const Tensor f = Tensor::of({4, 1, 3, 3, 0, 9, 9, 2}, {2, 4}, DType::f64);
  const std::vector<std::int32_t> labels = {0, 1};
  CHECK(predicted(f) == std::vector<std::int32_t>{0, 1});  // the lowest index of equals
  CHECK(ranked_class(f, labels, 0) == std::vector<std::int32_t>{2, 2});
  CHECK(ranked_class(f, labels, 1) == std::vector<std::int32_t>{3, 3});
  CHECK(ranked_class(f, labels, 2) == std::vector<std::int32_t>{1, 0});
  using Kind = AttackTarget::Kind;
  CHECK(targets_of({}, f, labels) == std::vector<std::int32_t>{no_target, no_target});
  CHECK(targets_of({Kind::least_likely, 0}, f, labels) == std::vector<std::int32_t>{1, 0});
  CHECK(targets_of({Kind::each, 0}, f, labels, 4) == std::vector<std::int32_t>{3, 3});
  CHECK(targets_of({Kind::fixed, 1}, f, labels) == std::vector<std::int32_t>{1, no_target});
  CHECK(margins(f, labels) == std::vector<double>{1, 0});
}

TEST_CASE("attack_loss: refuses what it cannot do") {
  const Tensor f = Tensor::zeros({1, 2}, DType::f64);
  CHECK_THROWS_WITH_AS(value(AttackObjective::dlr, f, 0, no_target),
                       "attack_loss: expected at least 3 classes for dlr, got 2", ValueError);
  CHECK_THROWS_WITH_AS(value(AttackObjective::dlr, f, 0, 1),
                       "attack_loss: expected at least 4 classes for dlr with a target, got 2",
                       ValueError);
  CHECK_THROWS_WITH_AS(value(AttackObjective::margin, f, 2, no_target),
                       "attack_loss: expected labels in 0..1, got 2", ValueError);
  CHECK_THROWS_WITH_AS(targets_of({AttackTarget::Kind::fixed, 5}, f, std::vector{0}),
                       "attack: expected a target class in 0..1, got 5", ValueError);
  CHECK_THROWS_WITH_AS(ranked_class(f, std::vector{0}, 1),
                       "attack_loss: expected a rank in 0..0, got 1", ValueError);
}

TEST_SUITE_END();
