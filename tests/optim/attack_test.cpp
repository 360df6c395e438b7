#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/core/flop_count.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/optim/image_rows.hpp>
#include <isotape/optim/make_attack.hpp>
#include "linear_victim.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("optim/attack");

namespace {

// Returns what it is told to.
class Told final : public Attack {
 public:
  Told(Tensor found, AttackGoal goal) : found_(std::move(found)), goal_(goal) {}
  BallNorm norm() const override { return BallNorm::l2; }
  AttackGoal goal() const override { return goal_; }

 private:
  Tensor search(const Victim&, const AttackTask&) const override { return found_; }
  Tensor found_;
  AttackGoal goal_;
};

// Class 1 from x > 0.5 on: logits (0.5, x).
Victim step_at_half() {
  return Victim([](const Var& x) {
    return add(matmul(x, Tensor::of({0, 1}, {1, 2}, DType::f64)),
               Tensor::of({0.5, 0}, {2}, DType::f64));
  });
}

AttackTask points(std::initializer_list<double> x) {
  AttackTask task;
  const auto n = static_cast<std::int64_t>(x.size());
  task.x = Tensor::of(x, {n, 1}, DType::f64);
  task.labels.assign(x.size(), 0);
  task.range = {0, 1};
  task.eps = 1;
  for (std::int64_t i = 0; i < n; ++i) task.rngs.push_back(Rng(1).stream(7));
  return task;
}

}  // namespace

TEST_CASE("attack: images that are wrong from the start succeed at distance 0, untouched") {
  const Told told(Tensor::of({0.7}, {1, 1}, DType::f64), AttackGoal::within_eps);
  const AttackResult result = told.run(step_at_half(), points({0.9, 0.4}));
  CHECK(result.success == std::vector<std::uint8_t>{1, 1});
  CHECK(result.x.at(0) == 0.9);
  CHECK(result.x.at(1) == 0.7);
  CHECK(result.l2[0] == 0);
  CHECK(result.l2[1] == doctest::Approx(0.3));
  CHECK(result.linf[1] == doctest::Approx(0.3));
  CHECK(result.margin[1] == doctest::Approx(-0.2));
}

TEST_CASE("attack: success is measured, not believed; what lies on the border is pushed over") {
  const Tensor on_border = Tensor::of({0.5}, {1, 1}, DType::f64);
  const AttackTask task = points({0.4});
  const AttackResult nearest = Told(on_border, AttackGoal::nearest).run(step_at_half(), task);
  CHECK(nearest.success[0] == 1);
  CHECK(nearest.l2[0] == doctest::Approx(0.1).epsilon(1e-5));
  CHECK(nearest.l2[0] > 0.1);
  CHECK(Told(on_border, AttackGoal::within_eps).run(step_at_half(), task).success[0] == 0);
  const Tensor far = Tensor::of({0.3}, {1, 1}, DType::f64);
  CHECK(Told(far, AttackGoal::nearest).run(step_at_half(), task).success[0] == 0);
}

TEST_CASE("attack: NaN logits are errors, not successes") {
  const Victim broken([](const Var& x) {
    return scale(matmul(x, Tensor::full({1, 2}, 1, DType::f64)), NAN);
  });
  for (const AttackInfo& info : attack_infos()) {
    CAPTURE(info.name);
    CHECK_THROWS_WITH_AS(make_attack(info.name).attack->run(broken, points({0.4})),
                         "attack: expected finite logits, got nan for class 0 of row 0",
                         NumericError);
  }
}

TEST_CASE("victim: a look costs a forward pass and the gradients of the inputs, none of weights") {
  Rng rng(3);
  Linear layer(32, 8, Bjorck{}, rng);
  layer.prepare();
  const Victim victim(layer);
  const Tensor x = random_normal(rng, {16, 32});
  const FlopCount before = flop_count();
  static_cast<void>(victim.logits(x));
  const double forward = (flop_count() - before).total();
  CHECK(forward == 2.0 * 16 * 32 * 8);
  Look look(victim, x);
  const Tensor gradient = look.gradient(Tensor::full({16, 8}, 1, DType::f64));
  CHECK((flop_count() - before).total() == 3 * forward);  // 4 with gradients of weights
  CHECK(gradient.shape() == x.shape());
  for (const auto& [name, parameter] : layer.parameters()) CHECK_FALSE(parameter->grad);
  // A second seed walks back again, from the same pass.
  const Tensor doubled = look.gradient(Tensor::full({16, 8}, 2, DType::f64));
  CHECK(max_abs_diff(doubled, scale(gradient, 2).value()) < 1e-6);
}

TEST_CASE("victim: logits that do not depend on the input have no gradient") {
  const Victim victim([](const Var& x) { return Var(Tensor::zeros({x.dim(0), 3})); });
  Look look(victim, Tensor::zeros({2, 4}));
  CHECK(max_abs(look.gradient(Tensor::full({2, 3}, 1, DType::f64))) == 0);
}

TEST_CASE("attack: refuses tasks that do not fit") {
  const Told told(Tensor::of({0.7}, {1, 1}, DType::f64), AttackGoal::within_eps);
  const auto run = [&](const AttackTask& task) { told.run(step_at_half(), task); };
  AttackTask task = points({0.4});
  task.labels = {};
  CHECK_THROWS_WITH_AS(run(task), "attack: expected a label for each of 1 images, got 0",
                       ShapeError);
  task = points({0.4});
  task.rngs = {};
  CHECK_THROWS_WITH_AS(run(task), "attack: expected a generator for each of 1 images, got 0",
                       ShapeError);
  task = points({0.4});
  task.eps = 0;
  CHECK_THROWS_WITH_AS(run(task), "attack: expected eps > 0, got 0", ValueError);
  task = points({0.4, 1.5});
  CHECK_THROWS_WITH_AS(run(task), "attack: expected entries in 0..1, got 1.5", ValueError);
  task = points({0.4});
  task.starts = Tensor::zeros({1, 2}, DType::f64);
  CHECK_THROWS_WITH_AS(run(task), "attack: expected images to start from like [1, 1], got [1, 2]",
                       ShapeError);
  task = points({0.4});
  task.labels = {2};
  CHECK_THROWS_AS(run(task), ValueError);
}

TEST_CASE("image_rows: rows are taken and put back") {
  const Tensor x = Tensor::of({1, 2, 3, 4, 5, 6}, {3, 2});
  const std::int64_t rows[] = {2, 0};
  const Tensor taken = gather_rows(x, rows);
  CHECK(max_abs_diff(taken, Tensor::of({5, 6, 1, 2}, {2, 2})) == 0);
  Tensor y = Tensor::zeros({3, 2});
  put_rows(y, rows, taken);
  CHECK(max_abs_diff(y, Tensor::of({1, 2, 0, 0, 5, 6}, {3, 2})) == 0);
  const std::int64_t none[] = {3};
  CHECK_THROWS_WITH_AS(gather_rows(x, none), "image_rows: expected rows in 0..2, got 3",
                       ShapeError);
}

TEST_SUITE_END();
