#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/optim/noise_attack.hpp>
#include <isotape/optim/square_attack.hpp>
#include <isotape/optim/universal.hpp>
#include "linear_victim.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("optim/square_attack");

TEST_CASE("square: at twice the exact radius breaks all images, where noise breaks none") {
  for (const Shape& shape : {Shape{12, 12, 1}, Shape{6, 6, 3}}) {
    LinearVictim linear(2, shape, DType::f32, 1, true);
    const AttackTask task = linear.task(6, 0.3, 0.7, {0, 1});
    const Square square({.queries = 3000});
    CHECK(broken_at(square, linear, task, 2) == 1);
    CHECK(broken_at(Noise({.samples = 300}), linear, task, 2) == 0);
    CHECK(broken_at(square, linear, task, 0.99) == 0);
  }
}

TEST_CASE("square: takes inputs that are no images, and images of a few pixels") {
  for (const Shape& shape : {Shape{9}, Shape{1, 2, 1}, Shape{2, 1, 3}, Shape{1, 1, 2}}) {
    CAPTURE(shape);
    LinearVictim linear(2, shape, DType::f64, 2);
    AttackTask task = linear.task(4, 0.3, 0.7);
    CHECK(broken_at(Square({.queries = 400}), linear, task, 3) == 1);
  }
}

TEST_CASE("noise: breaks little that is near, and all of what is far") {
  LinearVictim linear(2, {1, 1, 2}, DType::f64, 3);
  const AttackTask task = linear.task(10, 0.3, 0.7);
  for (const BallNorm norm : {BallNorm::l2, BallNorm::linf}) {
    CHECK(broken_at(Noise({.norm = norm}), linear, task, 0.99) == 0);
    CHECK(broken_at(Noise({.norm = norm}), linear, task, 2) == 1);
  }
  // In 300 dimensions a random direction is all but orthogonal to the one that matters.
  LinearVictim wide(2, {10, 10, 3}, DType::f64, 4);
  CHECK(broken_at(Noise({}), wide, wide.task(10, 0.3, 0.7), 2) == 0);
}

TEST_CASE("universal: one perturbation fools all images of a class that lie within eps") {
  LinearVictim linear(2, {4, 4, 1}, DType::f64, 5);
  const AttackTask all = linear.task(30, 0.3, 0.7);
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < 30; ++i) {
    if (all.labels[static_cast<std::size_t>(i)] == 0) rows.push_back(i);
  }
  REQUIRE(rows.size() > 5);
  AttackTask task = part_of(all, rows);
  for (const BallNorm norm : {BallNorm::l2, BallNorm::linf}) {
    task.eps = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      task.eps = std::max(task.eps, 1.05 * linear.radius(task, static_cast<std::int64_t>(i), norm));
    }
    const Universal universal({.norm = norm, .fooled = 1});
    CHECK(universal.is_universal());
    const AttackResult result = universal.run(linear.victim(), task);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      CHECK(result.success[i] == 1);
      CHECK((norm == BallNorm::l2 ? result.l2[i] : result.linf[i]) <= task.eps);
      for (std::int64_t k = 0; k < 16; ++k) {
        const auto at = static_cast<std::int64_t>(i) * 16 + k;
        CHECK(result.x.at(at) - task.x.at(at) ==
              doctest::Approx(result.x.at(k) - task.x.at(k)).epsilon(1e-9));
      }
    }
  }
}

TEST_CASE("square, noise, universal: refuse what is out of range") {
  CHECK_THROWS_WITH_AS(Square({.queries = 0}), "square: expected queries >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(Square({.p = 0}), "square: expected p in (0, 1], got 0", ValueError);
  CHECK_THROWS_WITH_AS(Noise({.samples = 0}), "noise: expected samples >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(Universal({.passes = 0}), "universal: expected passes >= 1, got 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(Universal({.fooled = 0}), "universal: expected fooled in (0, 1], got 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(Universal({.steps = 0}), "universal: expected steps >= 1, got 0",
                       ValueError);
}

TEST_SUITE_END();
