#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/kl_divergence.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/kl_divergence");

namespace {

Tensor normal(std::uint64_t seed, const Shape& shape, double deviation = 1) {
  Rng rng(seed);
  return random_normal(rng, shape, deviation, DType::f64);
}

}  // namespace

TEST_CASE("kl_divergence: of Bernoulli distributions is the closed form") {
  const Tensor f = Tensor::of({0, std::log(3)}, {1, 2}, DType::f64);  // p = 1/4, 3/4
  const Tensor g = Tensor::of({std::log(4), 0}, {1, 2}, DType::f64);  // q = 4/5, 1/5
  const double expected = 0.25 * std::log(0.25 / 0.8) + 0.75 * std::log(0.75 / 0.2);
  CHECK(kl_divergence(f, g).value().item() == doctest::Approx(expected).epsilon(1e-14));
  CHECK(kl_divergence(f.to(DType::f32), g.to(DType::f32)).value().item() ==
        doctest::Approx(expected).epsilon(1e-6));
}

TEST_CASE("kl_divergence: of equal predictions is 0 with gradients 0, whatever is added to a row") {
  Tape tape;
  const Var f = tape.leaf(normal(1, {5, 4}));
  const Var g = tape.leaf(add_scalar(f.value(), 3).value());
  const Var k = kl_divergence(f, g);
  CHECK(k.value().item() <= 1e-15);
  tape.backward(k);
  CHECK(max_abs(f.grad()) <= 1e-15);
  CHECK(max_abs(g.grad()) <= 1e-15);
}

TEST_CASE("kl_divergence: vjp and jvp match finite differences in both") {
  for (const Shape& shape : {Shape{1, 2}, Shape{4, 3}, Shape{6, 10}}) {
    const auto f = [](const Vars& in) { return kl_divergence(in[0], in[1]); };
    CHECK(gradcheck("kl_divergence", f, {normal(2, shape), normal(3, shape)}));
  }
}

TEST_CASE("kl_divergence: predictions beyond doubt are no NaN") {
  const Tensor f = Tensor::of({1e4, -1e4}, {1, 2}, DType::f64);
  const Tensor g = Tensor::of({-1e4, 1e4}, {1, 2}, DType::f64);
  CHECK(kl_divergence(f, g).value().item() == 2e4);
  CHECK(kl_divergence(f, f).value().item() == 0);
}

TEST_CASE("kl_divergence: a NaN makes it NaN, and the gradients of that row only") {
  for (const int operand : {0, 1}) {
    Tensor bad = Tensor::zeros({2, 3}, DType::f64);
    bad.write<double>()[4] = std::numeric_limits<double>::quiet_NaN();
    const Tensor good = normal(4, {2, 3});
    Tape tape;
    const Var f = tape.leaf(operand == 0 ? bad : good);
    const Var g = tape.leaf(operand == 1 ? bad : good);
    const Var k = kl_divergence(f, g);
    CHECK(std::isnan(k.value().item()));
    tape.backward(k);
    CHECK(std::isnan(f.grad().at(3)));
    CHECK(std::isnan(g.grad().at(5)));
    CHECK(all_finite(f.grad().rows(0, 1)));
    CHECK(all_finite(g.grad().rows(0, 1)));
  }
}

TEST_CASE("kl_divergence: one and many threads give the same bits") {
  const int threads = num_threads();
  const Tensor f = normal(5, {20000, 10});
  const Tensor g = normal(6, {20000, 10});
  set_num_threads(1);
  const double one = kl_divergence(f, g).value().item();
  set_num_threads(4);
  const double four = kl_divergence(f, g).value().item();
  set_num_threads(threads);
  CHECK(one == four);
}

TEST_CASE("kl_divergence: refuses shapes that do not fit") {
  CHECK_THROWS_WITH_AS(kl_divergence(Tensor({3}), Tensor({3})),
                       "kl_divergence: expected logits of shape [N, C] with N and C >= 1, got [3]",
                       ShapeError);
  CHECK_THROWS_AS(kl_divergence(Tensor({2, 3}), Tensor({3, 2})), ShapeError);
}

TEST_SUITE_END();
