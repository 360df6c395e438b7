#include <doctest/doctest.h>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/cayley.hpp>
#include <isotape/ops/rescale.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/rescale");

TEST_CASE("rescale: vjp and jvp match finite differences") {
  Rng rng(3);
  for (const Shape& shape : {Shape{4}, Shape{3, 5}, Shape{2, 3, 2, 2}}) {
    CAPTURE(shape);
    CHECK(gradcheck("rescale", [](const Vars& in) { return rescale(in[0], in[1]); },
                    {random_normal(rng, shape, 1, DType::f64), Tensor::full({1}, 1.7, DType::f64)},
                    {.points = 4}));
  }
}

TEST_CASE("rescale: the result has the length alpha; the gradient is orthogonal to x") {
  Rng rng(4);
  const Tensor x = random_normal(rng, {6, 7}, 3, DType::f64);
  Tape tape;
  const Var leaf = tape.leaf(x);
  const Var y = rescale(leaf, Tensor::full({}, 2.5, DType::f64));
  CHECK(std::abs(frobenius_norm(y.value()) - 2.5) < 1e-14);
  tape.backward(y, random_normal(rng, {6, 7}, 1, DType::f64));
  CHECK(std::abs(dot(leaf.grad(), x)) < 1e-13);
  const Tensor single = rescale(x.to(DType::f32), Tensor::full({}, 2.5)).value();
  CHECK(max_abs_diff(single.to(DType::f64), y.value()) < 1e-6);
}

TEST_CASE("rescale: zero stays zero, with zero gradients") {
  Tape tape;
  const Var x = tape.leaf(Tensor::zeros({3}, DType::f64));
  const Var alpha = tape.leaf(Tensor::full({1}, 2, DType::f64));
  const Var y = rescale(x, alpha);
  tape.backward(y, Tensor::full({3}, 1, DType::f64));
  CHECK(max_abs(y.value()) == 0);
  CHECK(max_abs(x.grad()) == 0);
  CHECK(max_abs(alpha.grad()) == 0);
}

TEST_CASE("rescale: with cayley, the published code's values and gradients") {
  // m_ij = sin(0.5 + 1.7i + 2.3j), dq_ij = cos(0.3 + 0.9i + 1.1j), alpha = 2; [Wang 2023]'s code.
  Tensor m({5, 3}, DType::f64);
  Tensor dq({5, 3}, DType::f64);
  for (int i = 0; i < 5; ++i) {
    for (int j = 0; j < 3; ++j) {
      m.write<double>()[i * 3 + j] = std::sin(0.5 + 1.7 * i + 2.3 * j);
      dq.write<double>()[i * 3 + j] = std::cos(0.3 + 0.9 * i + 1.1 * j);
    }
  }
  CHECK(std::abs(frobenius_norm(m) - 2.68179376983) < 1e-11);
  Tape tape;
  const Var v = tape.leaf(m);
  const Var alpha = tape.leaf(Tensor::full({1}, 2, DType::f64));
  const Var q = cayley(rescale(v, alpha));
  tape.backward(q, dq);
  const auto is = [](double found, double printed) { return std::abs(found - printed) < 1e-11; };
  CHECK(is(q.value().at(0), 0.254500236464));
  CHECK(is(q.value().at(4), 0.269804316811));
  CHECK(is(q.value().at(12), -0.821464402425));
  CHECK(is(q.value().at(14), 0.497231457803));
  CHECK(is(alpha.grad().item(), -0.258818860929));
  CHECK(is(v.grad().at(0), 0.0345061357857));
  CHECK(is(v.grad().at(1), 0.198075440157));
  CHECK(is(v.grad().at(2), -0.364948714055));
  CHECK(is(v.grad().at(12), -1.05829860583));
  CHECK(is(v.grad().at(13), -1.32325729173));
  CHECK(is(v.grad().at(14), -0.260424679575));
}

TEST_CASE("rescale: rejects a length of several entries") {
  CHECK_THROWS_WITH_AS(rescale(Tensor({3}), Tensor({2})),
                       "rescale: expected alpha of one entry of type f32, got [2] of type f32",
                       ShapeError);
}

TEST_SUITE_END();
