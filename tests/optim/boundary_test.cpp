#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/optim/boundary.hpp>
#include <isotape/optim/pointwise_attack.hpp>
#include "linear_victim.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("optim/boundary");

TEST_CASE("boundary: finds the exact radius of a linear classifier within 5 %") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    LinearVictim linear(2, {4, 4, 1}, dtype, 1);
    AttackTask task = linear.task(8, 0.3, 0.7, {0, 1});
    CHECK(worst_ratio(Boundary({.steps = 3000}), linear, task) <= 1.05);
    task.starts = linear.task(30, 0, 1).x;
    CHECK(worst_ratio(Boundary({.steps = 3000}), linear, task) <= 1.05);
  }
}

TEST_CASE("boundary: the same where the range stops pixels, and where there is no range") {
  LinearVictim linear(2, {4, 4, 1}, DType::f64, 2);
  CHECK(worst_ratio(Boundary({.steps = 4000}), linear, linear.task(8, 0, 1, {0, 1})) <= 1.05);
  CHECK(worst_ratio(Boundary({.steps = 4000}), linear, linear.task(8, -2, 2)) <= 1.05);
}

TEST_CASE("boundary: asks for classes alone") {
  // A victim whose gradients would be an error.
  LinearVictim linear(3, {4, 4, 1}, DType::f64, 3);
  const Victim inner = linear.victim();
  const Victim steps([&](const Var& x) {
    const std::vector<std::int32_t> classes = predicted(inner.logits(x.value()));
    Tensor one_hot = Tensor::zeros({x.dim(0), 3}, DType::f64);
    for (std::int64_t i = 0; i < x.dim(0); ++i) one_hot.write<double>()[3 * i + classes[i]] = 1;
    return Var(one_hot);
  });
  const AttackTask task = linear.task(4, 0.3, 0.7, {0, 1});
  const AttackResult by_class = Boundary({.steps = 300}).run(steps, task);
  const AttackResult by_logits = Boundary({.steps = 300}).run(inner, task);
  CHECK(max_abs_diff(by_class.x, by_logits.x) == 0);
  const AttackResult pointwise = Pointwise({}).run(steps, task);
  for (std::size_t i = 0; i < 4; ++i) CHECK(pointwise.success[i] == 1);
}

TEST_CASE("pointwise: no entry can be set back, and few are left of a sparse change") {
  LinearVictim linear(3, {4, 4, 1}, DType::f64, 4);
  AttackTask task = linear.task(8, 0.3, 0.7, {0, 1});
  task.starts = linear.task(30, 0, 1).x;
  CHECK(worst_ratio(Pointwise({}), linear, task) <= 5);
  const AttackResult result = Pointwise({}).run(linear.victim(), task);
  for (std::int64_t i = 0; i < 8; ++i) {
    std::int64_t changed = 0;
    for (std::int64_t k = 16 * i; k < 16 * (i + 1); ++k) {
      if (result.x.at(k) == task.x.at(k)) continue;
      ++changed;
      Tensor back = result.x.clone();
      back.write<double>()[k] = task.x.at(k);
      CHECK(misclassified(linear.victim().logits(back), task.labels)[i] == 0);
    }
    CHECK(changed >= 1);
    CHECK(changed < 16);
  }
}

TEST_CASE("boundary: a victim of one class only is not broken") {
  const Victim stubborn([](const Var& x) {
    Tensor f = Tensor::zeros({x.dim(0), 2}, DType::f64);
    for (std::int64_t i = 0; i < x.dim(0); ++i) f.write<double>()[2 * i] = 1;
    return Var(f);
  });
  LinearVictim linear(2, {4, 4, 1}, DType::f64, 5);
  AttackTask task = linear.task(2, 0.3, 0.7, {0, 1});
  task.labels = {0, 0};
  for (const Attack* attack : {static_cast<const Attack*>(new Boundary({})),
                               static_cast<const Attack*>(new Pointwise({}))}) {
    const AttackResult result = attack->run(stubborn, task);
    CHECK(result.success[0] == 0);
    CHECK(result.l2[1] == 0);
    delete attack;
  }
}

TEST_CASE("boundary, pointwise: refuse what is out of range") {
  CHECK_THROWS_WITH_AS(Boundary({.steps = 0}), "boundary: expected steps >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(Boundary({.spherical_step = 0}),
                       "boundary: expected spherical_step > 0, got 0", ValueError);
  CHECK_THROWS_WITH_AS(Boundary({.source_step = 1}),
                       "boundary: expected source_step in (0, 1), got 1", ValueError);
  CHECK_THROWS_WITH_AS(Pointwise({.passes = 0}), "pointwise: expected passes >= 1, got 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(Pointwise({.halvings = 0}), "pointwise: expected halvings >= 1, got 0",
                       ValueError);
}

TEST_SUITE_END();
