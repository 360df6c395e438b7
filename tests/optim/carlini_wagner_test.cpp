#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/optim/carlini_wagner.hpp>
#include "linear_victim.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("optim/carlini_wagner");

TEST_CASE("cw: finds the exact radius of a linear classifier within 1 %") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    LinearVictim linear(5, {4, 4, 1}, dtype, 1);
    const AttackTask task = linear.task(10, 0.3, 0.7, {0, 1});
    CHECK(worst_ratio(CarliniWagner({.targets = 4}), linear, task) <= 1.01);
    CHECK(worst_ratio(CarliniWagner({.targets = 4, .through_tanh = true}), linear, task) <= 1.01);
    // Away from the label alone it is caught by the class that is the runner-up.
    CHECK(worst_ratio(CarliniWagner({}), linear, task) > 1.05);
  }
}

TEST_CASE("cw: the same where the range stops pixels") {
  LinearVictim linear(3, {4, 4, 1}, DType::f64, 2);
  const AttackTask task = linear.task(10, 0, 1, {0, 1});
  CHECK(worst_ratio(CarliniWagner({.targets = 2}), linear, task) <= 1.01);
}

TEST_CASE("cw: from pixels at the ends of the range, through tanh, too") {
  LinearVictim linear(2, {4, 4, 1}, DType::f32, 3);
  AttackTask task = linear.task(6, 0, 1, {0, 1});
  for (std::int64_t k = 0; k < task.x.size(); ++k) {
    task.x.write<float>()[k] = task.x.at(k) < 0.5 ? 0.0F : 1.0F;
  }
  task.labels = predicted(linear.victim().logits(task.x));
  CHECK(worst_ratio(CarliniWagner({}), linear, task) <= 1.01);
  CHECK(worst_ratio(CarliniWagner({.steps = 1500, .through_tanh = true}), linear, task) <= 1.1);
}

TEST_CASE("cw: refuses what is out of range") {
  CHECK_THROWS_WITH_AS(CarliniWagner({.steps = 0}), "cw: expected steps >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(CarliniWagner({.rounds = 0}), "cw: expected rounds >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(CarliniWagner({.c = 0}), "cw: expected c > 0, got 0", ValueError);
  CHECK_THROWS_WITH_AS(CarliniWagner({.lr = 0}), "cw: expected lr > 0, got 0", ValueError);
  CHECK_THROWS_WITH_AS(CarliniWagner({.kappa = -1}), "cw: expected kappa >= 0, got -1", ValueError);
}

TEST_SUITE_END();
