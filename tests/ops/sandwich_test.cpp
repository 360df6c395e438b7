#include <doctest/doctest.h>
#include <cmath>
#include <numbers>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/cayley.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reshape.hpp>
#include <isotape/ops/sandwich.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/sandwich");

namespace {

constexpr SlopeRestricted all[] = {SlopeRestricted::relu, SlopeRestricted::softplus,
                                   SlopeRestricted::tanh, SlopeRestricted::sigmoid,
                                   SlopeRestricted::identity};

Tensor normal(const Shape& shape, double deviation, std::uint64_t seed) {
  Rng rng(seed);
  return random_normal(rng, shape, deviation, DType::f64);
}

// sqrt(2) Psi sigma(sqrt(2) Psi^-1 x + b), as it is written.
double plain(SlopeRestricted sigma, double x, double d, double b) {
  const double u = std::numbers::sqrt2 * std::exp(-d) * x + b;
  const double psi = std::numbers::sqrt2 * std::exp(d);
  switch (sigma) {
    case SlopeRestricted::relu:
      return psi * std::max(u, 0.0);
    case SlopeRestricted::softplus:
      return psi * std::log(1 + std::exp(u));
    case SlopeRestricted::tanh:
      return psi * std::tanh(u);
    case SlopeRestricted::sigmoid:
      return psi / (1 + std::exp(-u));
    default:
      return psi * u;
  }
}

}  // namespace

TEST_CASE("sandwich_activation: the formula as it is written, for every sigma") {
  const Tensor x = normal({7, 5}, 2, 1);
  const Tensor d = normal({5}, 0.7, 2);
  const Tensor b = normal({5}, 1, 3);
  for (const SlopeRestricted sigma : all) {
    CAPTURE(name(sigma));
    const Tensor y = sandwich_activation(x, d, b, sigma).value();
    const Tensor bare = sandwich_activation(x, {}, {}, sigma).value();
    for (std::int64_t i = 0; i < x.size(); ++i) {
      CHECK(std::abs(y.at(i) - plain(sigma, x.at(i), d.at(i % 5), b.at(i % 5))) < 1e-14);
      CHECK(std::abs(bare.at(i) - plain(sigma, x.at(i), 0, 0)) < 1e-14);
    }
    const Tensor single =
        sandwich_activation(x.to(DType::f32), d.to(DType::f32), b.to(DType::f32), sigma).value();
    CHECK(max_abs_diff(single.to(DType::f64), y) < 1e-5);
  }
}

TEST_CASE("sandwich_activation: vjp and jvp match finite differences") {
  for (const SlopeRestricted sigma : all) {
    CAPTURE(name(sigma));
    for (const Shape& shape : {Shape{3}, {4, 3}, {2, 2, 2, 5}, {1, 1}}) {
      const auto f = [sigma](const Vars& in) {
        return sandwich_activation(in[0], in[1], in[2], sigma);
      };
      const Tensors at{normal(shape, 1, 4), normal({shape[-1]}, 0.5, 5), normal({shape[-1]}, 1, 6)};
      CHECK(gradcheck("sandwich_activation", f, at, {.points = 4, .may_vanish = true}));
    }
  }
}

TEST_CASE("sandwich_activation: of relu, grad_d = bias grad_bias; slope 0 at 0; NaN stays") {
  Tape tape;
  const Tensor bias = normal({6}, 1, 7);
  const Var d = tape.leaf(normal({6}, 0.5, 8));
  const Var b = tape.leaf(bias);
  const Var y = sandwich_activation(normal({600, 6}, 1, 9), d, b);
  tape.backward(y, normal({600, 6}, 1, 10));
  for (int i = 0; i < 6; ++i) CHECK(std::abs(d.grad().at(i) - bias.at(i) * b.grad().at(i)) < 1e-13);

  const double nan = std::nan("");
  const Var x = tape.leaf(Tensor::of({0, 1, -1}, {3}, DType::f64));
  const Var z = sandwich_activation(x, {}, {});
  tape.backward(z, Tensor::full({3}, 1, DType::f64));
  CHECK(max_abs_diff(x.grad(), Tensor::of({0, 2, 0}, {3}, DType::f64)) == 0);
  CHECK(std::isnan(sandwich_activation(Tensor::of({nan}, {1}), {}, {}).value().item()));
}

TEST_CASE("sandwich_activation: between A^T and B, a map of slope at most 1") {
  // [A^T; B^T] = Cayley([X; Y]): A A^T + B B^T = I.
  const std::int64_t p = 7;
  const std::int64_t q = 5;
  const Tensor tall = cayley(normal({p + q, q}, 1, 11)).value();
  const Tensor a = tall.rows(0, q);  // A^T
  const Tensor b = tall.rows(q, p + q);
  const Tensor d = normal({q}, 1, 12);
  const Tensor bias = normal({q}, 1, 13);
  for (const SlopeRestricted sigma : all) {
    CAPTURE(name(sigma));
    const auto layer = [&](const Tensor& x) {
      return matmul(sandwich_activation(matmul(x, b), d, bias, sigma), a, {.trans_b = true})
          .value();
    };
    for (const double distance : {1e-3, 1.0, 10.0}) {
      const Tensor x = normal({500, p}, 2, 14);
      const Tensor step = normal({500, p}, distance, 15);
      const Tensor difference = sub(layer(add(x, step).value()), layer(x)).value();
      for (int i = 0; i < 500; ++i) {
        CHECK(frobenius_norm(difference.rows(i, i + 1)) <=
              (1 + 1e-12) * frobenius_norm(step.rows(i, i + 1)));
      }
    }
  }
}

TEST_CASE("sandwich_activation: the same bits on any number of threads, in place or not") {
  const Tensor x = normal({3000, 24}, 1, 16).to(DType::f32);
  const Tensor d = normal({24}, 1, 17).to(DType::f32);
  const auto run = [&](Tensor input, Tensor* grad) {
    Tape tape;
    const Var leaf = tape.leaf(d);
    const Var y = sandwich_activation(std::move(input), leaf, leaf);
    tape.backward(y, y.value().clone());
    *grad = leaf.grad();
    return y.value();
  };
  const int threads = num_threads();
  Tensor grad_one;
  Tensor grad_two;
  set_num_threads(1);
  const Tensor one = run(x, &grad_one);
  set_num_threads(2);
  CHECK(max_abs_diff(run(x.clone(), &grad_two), one) == 0);
  CHECK(max_abs_diff(grad_one, grad_two) == 0);
  set_num_threads(threads);
}

TEST_CASE("sandwich_activation: rejects rows that do not fit, and unknown functions") {
  CHECK_THROWS_WITH_AS(sandwich_activation(Tensor({2, 3}), Tensor({2}), {}),
                       "sandwich_activation: expected d and bias of shape [3] and type f32, got "
                       "[2] and f32",
                       ShapeError);
  CHECK_THROWS_WITH_AS(
      slope_restricted("abs"),
      "activation: expected one of relu, softplus, tanh, sigmoid, identity, got 'abs'", ValueError);
  for (const SlopeRestricted sigma : all) CHECK(slope_restricted(name(sigma)) == sigma);
}

TEST_SUITE_END();
