#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/optim/pgd.hpp>
#include "linear_victim.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("optim/pgd");

namespace {

constexpr PixelRange unit{0, 1};

}  // namespace

TEST_CASE("pgd: breaks all images at 1.01 and none at 0.99 of the exact radius") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    LinearVictim linear(5, {5, 5, 1}, dtype, 1);
    const AttackTask task = linear.task(12, 0.3, 0.7, unit);
    for (const BallNorm norm : {BallNorm::l2, BallNorm::linf}) {
      const Pgd pgd(
          {.norm = norm, .steps = 200, .restarts = 4, .target = {AttackTarget::Kind::each, 0}});
      CHECK(broken_at(pgd, linear, task, 1.01) == 1);
      CHECK(broken_at(pgd, linear, task, 0.99) == 0);
    }
  }
}

TEST_CASE("pgd: where there is one other class, any loss leads there") {
  LinearVictim linear(2, {5, 5, 1}, DType::f32, 1);
  const AttackTask task = linear.task(12, 0.3, 0.7, unit);
  for (const BallNorm norm : {BallNorm::l2, BallNorm::linf}) {
    const Pgd plain({.norm = norm, .steps = 200});
    CHECK(broken_at(plain, linear, task, 1.01) == 1);
    CHECK(broken_at(plain, linear, task, 0.99) == 0);
    const Pgd pgd({.norm = norm, .steps = 200, .objective = AttackObjective::cross_entropy});
    CHECK(broken_at(pgd, linear, task, 1.01) == 1);
    CHECK(broken_at(pgd, linear, task, 0.99) == 0);
  }
}

TEST_CASE("pgd: the same where the range stops pixels") {
  LinearVictim linear(4, {5, 5, 1}, DType::f32, 2);
  const AttackTask task = linear.task(12, 0, 1, {0, 1});
  for (const BallNorm norm : {BallNorm::l2, BallNorm::linf}) {
    const Pgd pgd(
        {.norm = norm, .steps = 200, .restarts = 3, .target = {AttackTarget::Kind::each, 0}});
    CHECK(broken_at(pgd, linear, task, 1.01) == 1);
    CHECK(broken_at(pgd, linear, task, 0.99) == 0);
  }
}

TEST_CASE("pgd: from the image, with momentum, and without a start at random") {
  LinearVictim linear(2, {5, 5, 1}, DType::f32, 3);
  const AttackTask task = linear.task(8, 0.3, 0.7, unit);
  for (const double momentum : {0.0, 0.5, 1.0}) {
    const Pgd bim({.steps = 100, .random_start = false, .momentum = momentum});
    CHECK(broken_at(bim, linear, task, 1.01) == 1);
    CHECK(broken_at(bim, linear, task, 0.99) == 0);
  }
}

TEST_CASE("pgd: reaches the class it draws towards") {
  LinearVictim linear(3, {3, 3, 1}, DType::f64, 4);
  AttackTask task = linear.task(6, 0.3, 0.7);
  task.eps = 20;
  const std::vector<std::int32_t> least =
      ranked_class(linear.victim().logits(task.x), task.labels, 1);
  // 40 steps of 0.5 reach the border of the ball, 20 steps of 0.05 the middle of nowhere.
  const Pgd pgd(
      {.steps = 40, .random_start = false, .target = {AttackTarget::Kind::least_likely, 0}});
  const AttackResult result = pgd.run(linear.victim(), task);
  for (std::size_t i = 0; i < 6; ++i) CHECK(result.success[i] == 1);
}

TEST_CASE("pgd: the best iterate is kept, not the last") {
  // The margin falls towards 0.25 beside the image and rises behind: steps of 0.2 pass over it.
  const Victim victim([](const Var& x) {
    const Var hill = square(add_scalar(x, -0.25));
    return matmul(hill, Tensor::of({1, 0}, {1, 2}, DType::f64));
  });
  AttackTask task;
  task.x = Tensor::zeros({1, 1}, DType::f64);
  task.labels = {0};
  task.rngs = {Rng(1)};
  task.eps = 5;
  const Pgd pgd({.steps = 2, .alpha = 0.2, .random_start = false});
  const AttackResult result = pgd.run(victim, task);
  // At 0, 0.2 and 0.4 the margins are 0.0625, 0.0025 and 0.0225.
  CHECK(result.x.at(0) == doctest::Approx(0.2));
  CHECK(result.margin[0] == doctest::Approx(0.0025));
}

TEST_CASE("pgd: without an early stop it goes on behind the border, to the least margin") {
  LinearVictim linear(4, {5, 5, 1}, DType::f64, 1);
  AttackTask task = linear.task(9, 0.3, 0.7);
  task.eps = 3 * linear.radius(task, 4, BallNorm::l2);  // far behind some images' borders
  PgdOptions options{.steps = 30, .restarts = 2, .random_start = false};
  const AttackResult early = Pgd(options).run(linear.victim(), task);
  options.early_stop = false;
  const AttackResult late = Pgd(options).run(linear.victim(), task);
  std::int64_t broken = 0;
  for (std::size_t i = 0; i < 9; ++i) {
    CHECK(late.success[i] >= early.success[i]);
    CHECK(late.l2[i] <= task.eps);
    if (early.success[i] == 0) continue;
    ++broken;
    CHECK(late.margin[i] < early.margin[i]);
    CHECK(late.l2[i] == doctest::Approx(task.eps).epsilon(1e-6));
  }
  CHECK(broken > 0);
}

TEST_CASE("pgd: a gradient that vanishes at the image is answered by a random direction") {
  // relu(s - 1) with s the sum of entries: flat around the image, a slope from s = 1 on.
  const Victim victim([](const Var& x) {
    const Var slope = relu(add_scalar(matmul(x, Tensor::full({4, 1}, 1, DType::f64)), -1));
    return add(matmul(slope, Tensor::of({0, 1}, {1, 2}, DType::f64)),
               Tensor::of({0.1, 0}, {2}, DType::f64));
  });
  AttackTask task;
  task.x = Tensor::full({16, 4}, 0.2, DType::f64);
  task.labels.assign(16, 0);
  for (std::uint64_t i = 0; i < 16; ++i) task.rngs.push_back(Rng(9).stream(i));
  task.eps = 1.5;
  const Pgd pgd({.steps = 600, .alpha = 0.3, .random_start = false});
  const AttackResult result = pgd.run(victim, task);
  for (std::size_t i = 0; i < 16; ++i) CHECK(result.success[i] == 1);
}

TEST_CASE("pgd: the same seed finds the same inputs, and a batch what each image finds alone") {
  LinearVictim linear(4, {5, 5, 1}, DType::f64, 5);
  AttackTask task = linear.task(9, 0.3, 0.7, unit);
  task.eps = 1.02 * linear.radius(task, 4, BallNorm::l2);  // breaks some
  const Pgd pgd({.steps = 30, .restarts = 3, .momentum = 0.3});
  const AttackResult all = pgd.run(linear.victim(), task);
  CHECK(max_abs_diff(all.x, pgd.run(linear.victim(), task).x) == 0);
  std::int64_t broken = 0;
  for (std::int64_t row = 0; row < 9; ++row) {
    const std::int64_t rows[] = {row};
    const AttackResult one = pgd.run(linear.victim(), part_of(task, rows));
    CHECK(one.success[0] == all.success[row]);
    CHECK(max_abs_diff(one.x, all.x.rows(row, row + 1).clone()) < 1e-9);
    broken += one.success[0];
  }
  CHECK(broken > 0);
  CHECK(broken < 9);
  for (Rng& rng : task.rngs) rng = rng.stream(1);
  CHECK(max_abs_diff(all.x, pgd.run(linear.victim(), task).x) > 0);
}

TEST_CASE("pgd: refuses what is out of range") {
  CHECK_THROWS_WITH_AS(Pgd({.steps = 0}), "pgd: expected steps >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(Pgd({.alpha = -1}), "pgd: expected alpha > 0, got -1", ValueError);
  CHECK_THROWS_WITH_AS(Pgd({.restarts = 0}), "pgd: expected restarts >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(Pgd({.momentum = 2}), "pgd: expected a momentum in [0, 1], got 2",
                       ValueError);
  LinearVictim linear(4, {5, 5, 1}, DType::f64, 5);
  AttackTask task = linear.task(1, 0.3, 0.7);
  task.eps = HUGE_VAL;
  CHECK_THROWS_WITH_AS(Pgd({}).run(linear.victim(), task), "pgd: expected a finite eps, got inf",
                       ValueError);
}

TEST_SUITE_END();
