#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/optim/deepfool.hpp>
#include "linear_victim.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("optim/deepfool");

TEST_CASE("deepfool: finds the exact radius of a linear classifier within 1 %") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    LinearVictim linear(5, {5, 5, 1}, dtype, 1);
    const AttackTask task = linear.task(12, 0.3, 0.7, {0, 1});
    for (const BallNorm norm : {BallNorm::l2, BallNorm::linf}) {
      CHECK(worst_ratio(DeepFool({.norm = norm}), linear, task) <= 1.01);
    }
    // Without going back there is the overshoot.
    CHECK(worst_ratio(DeepFool({.refine = 0}), linear, task) > 1.015);
  }
}

TEST_CASE("deepfool: where the range stops pixels, what it finds is in it, and not far off") {
  LinearVictim linear(3, {5, 5, 1}, DType::f32, 2);
  const AttackTask task = linear.task(12, 0, 1, {0, 1});
  CHECK(worst_ratio(DeepFool({}), linear, task) <= 1.3);
  const AttackResult result = DeepFool({}).run(linear.victim(), task);
  for (std::int64_t k = 0; k < result.x.size(); ++k) {
    CHECK(result.x.at(k) >= 0);
    CHECK(result.x.at(k) <= 1);
  }
}

TEST_CASE("deepfool: looks at as many classes as it is told to") {
  LinearVictim linear(6, {4, 4, 1}, DType::f64, 3);
  const AttackTask task = linear.task(20, 0.3, 0.7);
  CHECK(worst_ratio(DeepFool({}), linear, task) <= 1.01);
  CHECK(worst_ratio(DeepFool({.candidates = 1}), linear, task) > 1.01);
}

TEST_CASE("deepfool: refuses what is out of range") {
  CHECK_THROWS_WITH_AS(DeepFool({.steps = 0}), "deepfool: expected steps >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(DeepFool({.candidates = 0}), "deepfool: expected candidates >= 1, got 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(DeepFool({.overshoot = -1}), "deepfool: expected overshoot >= 0, got -1",
                       ValueError);
}

TEST_SUITE_END();
