#include <doctest/doctest.h>

#include <isotape/optim/fgsm.hpp>
#include "linear_victim.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("optim/fgsm");

TEST_CASE("fgsm: against two classes, breaks all at 1.01 and none at 0.99 of the exact radius") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    LinearVictim linear(2, {6, 6, 1}, dtype, 1);
    const AttackTask task = linear.task(20, 0.3, 0.7, {0, 1});
    for (const BallNorm norm : {BallNorm::l2, BallNorm::linf}) {
      for (const AttackObjective objective :
           {AttackObjective::margin, AttackObjective::cross_entropy}) {
        const Fgsm fgsm({.norm = norm, .objective = objective});
        CHECK(broken_at(fgsm, linear, task, 1.01) == 1);
        CHECK(broken_at(fgsm, linear, task, 0.99) == 0);
      }
    }
  }
}

TEST_CASE("fgsm: drawn towards the nearest class, breaks all at 1.01 of its distance") {
  LinearVictim linear(3, {6, 6, 1}, DType::f64, 2);
  const AttackTask task = linear.task(20, 0.3, 0.7, {0, 1});
  double broken = 0;
  for (std::int64_t row = 0; row < 20; ++row) {
    const std::int64_t rows[] = {row};
    AttackTask one = part_of(task, rows);
    one.eps = 1.01 * linear.radius(task, row, BallNorm::l2);
    double best = 0;
    for (const std::int32_t target : {0, 1, 2}) {
      const Fgsm fgsm({.target = {AttackTarget::Kind::fixed, target}});
      best = std::max<double>(best, fgsm.run(linear.victim(), one).success[0]);
    }
    broken += best;
  }
  CHECK(broken == 20);
}

TEST_CASE("fgsm: a step that raises the margin is not taken") {
  // The gradient points the wrong way: uphill first, a valley behind.
  const Victim victim([](const Var& x) {
    return matmul(x, Tensor::of({1, 0}, {1, 2}, DType::f64));
  });
  AttackTask task;
  task.x = Tensor::full({1, 1}, 0.5, DType::f64);
  task.labels = {0};
  task.rngs = {Rng(1)};
  task.range = {0, 1};
  task.eps = 0.2;
  const AttackResult result = Fgsm({}).run(victim, task);
  CHECK(result.x.at(0) == doctest::Approx(0.3));
  CHECK(result.margin[0] == doctest::Approx(0.3));
  CHECK(result.success[0] == 0);
}

TEST_SUITE_END();
