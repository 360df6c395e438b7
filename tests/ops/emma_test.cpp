#include <doctest/doctest.h>
#include <cmath>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/emma.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/emma");

namespace {

using Labels = std::vector<std::int32_t>;

Tensor normal(std::uint64_t seed, const Shape& shape) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, DType::f64);
}

}  // namespace

TEST_CASE("class_distances: are |w_i - w_j|, symmetric, 0 on the diagonal") {
  const Tensor w = Tensor::of({3, 0, 0, 4, 0, 0}, {3, 2}, DType::f64);
  const Tensor y = class_distances(w).value();
  const Tensor expected = Tensor::of({0, 5, 3, 5, 0, 4, 3, 4, 0}, {3, 3}, DType::f64);
  CHECK(max_abs_diff(y, expected) == 0);
  CHECK(max_abs_diff(class_distances(w.to(DType::f32)).value().to(DType::f64), expected) == 0);
  const Tensor eye = class_distances(Tensor::eye(4)).value();
  CHECK(eye.at(1) == doctest::Approx(std::sqrt(2)).epsilon(1e-7));
}

TEST_CASE("class_distances: vjp and jvp match finite differences") {
  for (const Shape& shape : {Shape{2, 1}, Shape{4, 3}, Shape{3, 20}}) {
    const auto f = [](const Vars& in) { return class_distances(in[0]); };
    CHECK(gradcheck("class_distances", f, {normal(1, shape)}));
  }
}

TEST_CASE("class_distances: equal rows have the gradient 0") {
  Tape tape;
  const Var w = tape.leaf(Tensor::full({3, 2}, 1, DType::f64));
  tape.backward(class_distances(w), Tensor::full({3, 3}, 1, DType::f64));
  CHECK(max_abs(w.grad()) == 0);
}

TEST_CASE("emma_slack: is the radius at which a class draws level, within 1 % and all of eps") {
  const Tensor f = Tensor::of({2, 1, -4, 5, 2}, {1, 5}, DType::f64);
  Tensor d = Tensor::full({5, 5}, 2, DType::f64);
  d.write<double>()[4] = 0;  // between the classes 0 and 4
  const Tensor slack = emma_slack(f, d, Labels{0}, 0.8);
  CHECK(slack.at(1) == 0.5);                     // lead 1 over 2
  CHECK(slack.at(2) == 0.8);                     // out of reach
  CHECK(slack.at(3) == doctest::Approx(0.008));  // leads already
  CHECK(slack.at(4) == 0);                       // the same row of weights
}

TEST_CASE("emma_logits: raises each class by its slack times its distance to the label") {
  const Tensor f = Tensor::of({1, 2, 3, 4}, {2, 2}, DType::f64);
  const Tensor d = Tensor::of({0, 5, 7, 0}, {2, 2}, DType::f64);
  const Tensor slack = Tensor::of({0.1, 0.2, 0.3, 0.4}, {2, 2}, DType::f64);
  const Tensor y = emma_logits(f, d, Labels{0, 1}, slack).value();
  CHECK(max_abs_diff(y, Tensor::of({1, 3, 5.1, 4}, {2, 2}, DType::f64)) <= 1e-15);
}

TEST_CASE("emma_logits: a class within its slack is level with the label") {
  const Tensor w = normal(2, {4, 6});
  const Tensor h = normal(3, {1, 6});
  const Tensor d = class_distances(w).value();
  Tensor f = normal(4, {1, 4});
  f.write<double>()[1] = 3;
  const Tensor slack = emma_slack(f, d, Labels{1}, 10);
  const Tensor y = emma_logits(f, d, Labels{1}, slack).value();
  for (const int j : {0, 2, 3}) {
    CHECK(slack.at(j) > 0.1);
    CHECK(slack.at(j) < 10);
    CHECK(y.at(j) == doctest::Approx(y.at(1)).epsilon(1e-12));
  }
}

TEST_CASE("emma_logits: vjp and jvp match finite differences in logits and distances") {
  const Tensor slack = normal(5, {3, 4});
  const auto f = [&](const Vars& in) { return emma_logits(in[0], in[1], Labels{3, 0, 3}, slack); };
  CHECK(gradcheck("emma_logits", f, {normal(6, {3, 4}), normal(7, {4, 4})}));
}

TEST_CASE("emma: refuses what does not fit") {
  const Tensor f({2, 3});
  const Tensor d({3, 3});
  CHECK_THROWS_WITH_AS(class_distances(Tensor({3})),
                       "class_distances: expected w of shape [C, n], got [3]", ShapeError);
  CHECK_THROWS_WITH_AS(emma_slack(f, d, Labels{0, 1}, 0),
                       "emma_logits: expected a finite eps > 0, got 0", ValueError);
  CHECK_THROWS_WITH_AS(emma_slack(f, Tensor({2, 2}), Labels{0, 1}, 1),
                       "emma_logits: expected distances of shape [3, 3] and type f32, got [2, 2] "
                       "and f32",
                       ShapeError);
  CHECK_THROWS_WITH_AS(emma_logits(f, d, Labels{0, 3}, f),
                       "emma_logits: expected labels in 0..2, got 3 at row 1", ValueError);
  CHECK_THROWS_AS(emma_logits(f, d, Labels{0, 1}, d), ShapeError);
}

TEST_SUITE_END();
