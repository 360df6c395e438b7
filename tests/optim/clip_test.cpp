#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/optim/clip.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("optim/clip");

namespace {

struct TwoParameters {
  Parameter a{Tensor::zeros({2})};
  Parameter b{Tensor::zeros({1}, DType::f64)};
  Parameter idle{Tensor::zeros({5})};
  ParameterList list{{"a", &a}, {"b", &b}, {"idle", &idle}};
  TwoParameters() {
    a.grad = Tensor::of({1, 2}, {2});
    b.grad = Tensor::of({-2}, {1}, DType::f64);
  }
};

}  // namespace

TEST_CASE("clip_grad_norm: scales all gradients by one factor, and returns the norm before") {
  TwoParameters p;
  CHECK(clip_grad_norm(p.list, 1.5) == doctest::Approx(3));
  CHECK(max_abs_diff(p.a.grad, Tensor::of({0.5, 1}, {2})) < 1e-7);
  CHECK(p.b.grad.item() == doctest::Approx(-1));
  CHECK_FALSE(p.idle.grad);
}

TEST_CASE("clip_grad_norm: leaves gradients within the bound untouched, bit for bit") {
  TwoParameters p;
  const Tensor before = p.a.grad;
  CHECK(clip_grad_norm(p.list, 3) == doctest::Approx(3));
  CHECK(p.a.grad.shares_storage_with(before));
  CHECK(max_abs_diff(p.a.grad, Tensor::of({1, 2}, {2})) == 0);
  CHECK(clip_grad_norm({}, 1) == 0);
}

TEST_CASE("clip_grad_norm: the squares of large f32 entries do not overflow") {
  Parameter w(Tensor::zeros({2}));
  w.grad = Tensor::full({2}, 1e30);
  CHECK(clip_grad_norm({{"w", &w}}, 1) == doctest::Approx(std::sqrt(2.0) * 1e30));
  CHECK(w.grad.at(0) == doctest::Approx(std::sqrt(0.5)));
}

TEST_CASE("clip_grad_norm, clip_grad_value: two gradients in one storage are scaled once each") {
  TwoParameters p;
  p.idle = Parameter(Tensor::zeros({2}));
  p.idle.grad = p.a.grad;
  const double norm = std::sqrt(5 + 4 + 5);
  CHECK(clip_grad_norm(p.list, norm / 2) == doctest::Approx(norm));
  CHECK(p.a.grad.at(1) == doctest::Approx(1));
  CHECK(p.idle.grad.at(1) == doctest::Approx(1));
}

TEST_CASE("clip_grad_norm: the norm does not depend on the number of threads") {
  Rng rng(1);
  Parameter w(Tensor::zeros({200000}));
  w.grad = random_normal(rng, {200000});
  const int threads = num_threads();
  set_num_threads(1);
  const double one = clip_grad_norm({{"w", &w}}, 1e9);
  set_num_threads(3);
  const double several = clip_grad_norm({{"w", &w}}, 1e9);
  set_num_threads(threads);
  CHECK(one == several);
  CHECK(one == doctest::Approx(frobenius_norm(w.grad)));
}

TEST_CASE("clip_grad_value: clamps both signs; a NaN stays one") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Parameter w(Tensor::zeros({4}));
  w.grad = Tensor::of({3, -3, 0.5, nan}, {4});
  clip_grad_value({{"w", &w}}, 1);
  CHECK(w.grad.at(0) == 1);
  CHECK(w.grad.at(1) == -1);
  CHECK(w.grad.at(2) == 0.5);
  CHECK(std::isnan(w.grad.at(3)));
}

TEST_CASE("clip_grad_norm, clip_grad_value: reject bad bounds and a gradient that is not finite") {
  TwoParameters p;
  CHECK_THROWS_WITH_AS(clip_grad_norm(p.list, 0), "clip_grad_norm: expected max_norm > 0, got 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(clip_grad_value(p.list, -1), "clip_grad_value: expected max_abs > 0, got -1",
                       ValueError);
  p.b.grad = Tensor::full({1}, std::numeric_limits<double>::infinity(), DType::f64);
  CHECK_THROWS_WITH_AS(clip_grad_norm(p.list, 1),
                       "clip_grad_norm: expected a finite gradient of b, got norm inf",
                       NumericError);
  CHECK(p.a.grad.at(1) == 2);
}

TEST_SUITE_END();
