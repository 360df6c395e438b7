#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/optim/apgd.hpp>
#include <isotape/optim/autoattack.hpp>
#include "linear_victim.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("optim/apgd");

TEST_CASE("apgd: breaks all images at 1.01 and none at 0.99 of the exact radius") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    LinearVictim linear(5, {5, 5, 1}, dtype, 1);
    const AttackTask task = linear.task(12, 0.3, 0.7, {0, 1});
    for (const BallNorm norm : {BallNorm::l2, BallNorm::linf}) {
      const Apgd apgd({.norm = norm,
                       .restarts = 4,
                       .objective = AttackObjective::margin,
                       .target = {AttackTarget::Kind::each, 0}});
      CHECK(broken_at(apgd, linear, task, 1.01) == 1);
      CHECK(broken_at(apgd, linear, task, 0.99) == 0);
    }
  }
}

TEST_CASE("apgd: against two classes cross entropy does, also where the range stops pixels") {
  LinearVictim linear(2, {5, 5, 1}, DType::f32, 2);
  for (const double low : {0.3, 0.0}) {
    const AttackTask task = linear.task(12, low, 1 - low, {0, 1});
    for (const BallNorm norm : {BallNorm::l2, BallNorm::linf}) {
      const Apgd apgd({.norm = norm});
      CHECK(broken_at(apgd, linear, task, 1.01) == 1);
      CHECK(broken_at(apgd, linear, task, 0.99) == 0);
    }
  }
}

TEST_CASE("apgd: dlr with each target in turn, and the ensemble, break all at 1.01") {
  LinearVictim linear(5, {5, 5, 1}, DType::f64, 3);
  const AttackTask task = linear.task(8, 0.3, 0.7, {0, 1});
  const Apgd dlr(
      {.restarts = 4, .objective = AttackObjective::dlr, .target = {AttackTarget::Kind::each, 0}});
  CHECK(broken_at(dlr, linear, task, 1.05) == 1);
  CHECK(broken_at(dlr, linear, task, 0.99) == 0);
  const AutoAttack all({.steps = 50, .targets = 4, .queries = 20});
  CHECK(broken_at(all, linear, task, 1.01) == 1);
  CHECK(broken_at(all, linear, task, 0.99) == 0);
}

TEST_CASE("autoattack: needs four classes") {
  LinearVictim linear(3, {5, 5, 1}, DType::f64, 4);
  AttackTask task = linear.task(2, 0.3, 0.7);
  task.eps = 1e-6;
  CHECK_THROWS_WITH_AS(AutoAttack({}).run(linear.victim(), task),
                       "attack_loss: expected at least 4 classes for dlr with a target, got 3",
                       ValueError);
}

TEST_CASE("apgd: refuses what is out of range") {
  CHECK_THROWS_WITH_AS(Apgd({.steps = 0}), "apgd: expected steps >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(Apgd({.restarts = 0}), "apgd: expected restarts >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(Apgd({.rho = 1}), "apgd: expected rho in (0, 1), got 1", ValueError);
}

TEST_SUITE_END();
