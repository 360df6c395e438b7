#include <doctest/doctest.h>
#include <cmath>
#include <limits>
#include <utility>

#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/max_min.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/max_min");

namespace {

const Pairing pairings[] = {Pairing::split, Pairing::adjacent};

struct Run {
  Tensor y, grad_x, grad_bias;
};

Run run(const Tensor& x, const Tensor& bias, const Tensor& dy, Pairing pairing) {
  Tape tape;
  const Var x_leaf = tape.leaf(x);
  const Var bias_leaf = tape.leaf(bias);
  const Var y = bias_max_min(x_leaf, bias_leaf, pairing);
  tape.backward(y, dy.clone());
  return {y.value(), x_leaf.grad(), bias_leaf.grad()};
}

}  // namespace

TEST_CASE("bias_max_min: is max_min of the sum, and so are its gradients") {
  Rng rng(1);
  for (const Pairing pairing : pairings) {
    for (const Shape& shape : {Shape{6}, Shape{1, 2}, Shape{5, 22}, Shape{3, 4, 5, 32}}) {
      const Tensor x = random_normal(rng, shape, 1, DType::f64);
      const Tensor bias = random_normal(rng, {shape[-1]}, 1, DType::f64);
      const Tensor dy = random_normal(rng, shape, 1, DType::f64);
      const Run fused = run(x, bias, dy, pairing);
      Tape tape;
      const Var x_leaf = tape.leaf(x);
      const Var bias_leaf = tape.leaf(bias);
      const Var y = max_min(add(x_leaf, bias_leaf), pairing);
      tape.backward(y, dy.clone());
      CHECK(max_abs_diff(fused.y, y.value()) == 0);
      CHECK(max_abs_diff(fused.grad_x, x_leaf.grad()) == 0);
      CHECK(max_abs_diff(fused.grad_bias, bias_leaf.grad()) < 1e-13);
    }
  }
}

TEST_CASE("bias_max_min: vjp and jvp match finite differences") {
  Rng rng(2);
  for (const Pairing pairing : pairings) {
    for (const Shape& shape : {Shape{4}, Shape{3, 12}, Shape{1, 2}, Shape{2, 2, 3, 18}}) {
      const Tensor x = random_normal(rng, shape, 1, DType::f64);
      const Tensor bias = random_normal(rng, {shape[-1]}, 1, DType::f64);
      const auto both = [&](const Vars& in) { return bias_max_min(in[0], in[1], pairing); };
      CHECK(gradcheck("bias_max_min", both, {x, bias}));
      const auto of_bias = [&](const Vars& in) { return bias_max_min(x, in[0], pairing); };
      CHECK(gradcheck("bias_max_min", of_bias, {bias}));
    }
  }
}

TEST_CASE("bias_max_min: f32 agrees with f64, and the bias's gradient does so over many rows") {
  Rng rng(3);
  const Tensor x = random_normal(rng, {40000, 8}, 1, DType::f64);
  const Tensor bias = random_normal(rng, {8}, 1, DType::f64);
  Tensor dy = random_normal(rng, {40000, 8}, 1, DType::f64);
  add_in_place(dy, Tensor::full(dy.shape(), 1, DType::f64));
  for (const Pairing pairing : pairings) {
    // The same numbers for both, so that no pair is ordered differently.
    const Tensor x32 = x.to(DType::f32);
    const Tensor dy32 = dy.to(DType::f32);
    const Tensor zero = Tensor::zeros({8});
    const Run narrow = run(x32, zero, dy32, pairing);
    const Run wide = run(x32.to(DType::f64), zero.to(DType::f64), dy32.to(DType::f64), pairing);
    CHECK(max_abs_diff(narrow.y.to(DType::f64), wide.y) == 0);
    CHECK(max_abs_diff(narrow.grad_x.to(DType::f64), wide.grad_x) == 0);
    const double error = max_abs_diff(narrow.grad_bias.to(DType::f64), wide.grad_bias);
    CHECK(error < 1e-5 * max_abs(wide.grad_bias));
  }
}

TEST_CASE("bias_max_min: a tie of the sums stays, and each gradient goes whole to one input") {
  // 1 + 1 = 2 + 0 and NaN first: nothing moves; 0 + 0 < 1 + 0 moves.
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor x = Tensor::of({1, nan, 0, /**/ 2, 5, 1}, {6}, DType::f64);
  const Tensor bias = Tensor::of({1, 0, 0, /**/ 0, 0, 0}, {6}, DType::f64);
  const Tensor dy = Tensor::of({1, 2, 3, 4, 5, 6}, {6}, DType::f64);
  const Run r = run(x, bias, dy, Pairing::split);
  CHECK(max_abs_diff(r.grad_x, Tensor::of({1, 2, 6, 4, 5, 3}, {6}, DType::f64)) == 0);
  CHECK(max_abs_diff(r.grad_bias, r.grad_x) == 0);
  CHECK(std::isnan(r.y.at(1)));
}

TEST_CASE("max_min: takes the memory of a value that is given away, and of no other") {
  Rng rng(4);
  const Tensor x = random_normal(rng, {4, 6});
  const Tensor before = x.clone();
  const Tensor y = max_min(x).value();
  CHECK_FALSE(y.shares_storage_with(x));
  CHECK(max_abs_diff(x, before) == 0);

  Tensor given = x.clone();
  const auto* memory = given.data<float>();
  const Tensor z = max_min(std::move(given)).value();
  CHECK(z.data<float>() == memory);
  CHECK(max_abs_diff(z, y) == 0);

  // What an earlier op saved for its own gradient is held by the tape.
  Tape tape;
  const Var leaf = tape.leaf(x);
  Var saved = exp(leaf);
  tape.backward(max_min(std::move(saved)), Tensor::full(x.shape(), 1));
  for (std::int64_t i = 0; i < x.size(); ++i) {
    CHECK(std::abs(leaf.grad().at(i) - std::exp(x.at(i))) < 1e-5);
  }
}

TEST_CASE("bias_max_min: one thread gives what several give; a batch is its rows one by one") {
  Rng rng(5);
  const int threads = num_threads();
  const Tensor x = random_normal(rng, {5000, 24});
  const Tensor bias = random_normal(rng, {24});
  const Tensor dy = random_normal(rng, {5000, 24});
  for (const Pairing pairing : pairings) {
    set_num_threads(1);
    const Run one = run(x, bias, dy, pairing);
    set_num_threads(3);
    const Run several = run(x, bias, dy, pairing);
    set_num_threads(threads);
    CHECK(max_abs_diff(one.y, several.y) == 0);
    CHECK(max_abs_diff(one.grad_x, several.grad_x) == 0);
    CHECK(max_abs_diff(one.grad_bias, several.grad_bias) == 0);
    for (const std::int64_t row : {0, 255, 256, 4999}) {
      const Run single = run(x.rows(row, row + 1), bias, dy.rows(row, row + 1), pairing);
      CHECK(max_abs_diff(single.y, one.y.rows(row, row + 1)) == 0);
      CHECK(max_abs_diff(single.grad_x, one.grad_x.rows(row, row + 1)) == 0);
    }
  }
}

TEST_CASE("bias_max_min: empty batches have a zero gradient of the bias") {
  const Run r = run(Tensor({0, 4}), Tensor::full({4}, 1), Tensor({0, 4}), Pairing::split);
  CHECK(r.y.shape() == Shape{0, 4});
  CHECK(max_abs(r.grad_bias) == 0);
}

TEST_CASE("bias_max_min: rejects a bias that does not fit") {
  CHECK_THROWS_WITH_AS(bias_max_min(Tensor({2, 4}), Tensor({2})),
                       "max_min: expected bias of shape [4] and type f32, got [2] and f32",
                       ShapeError);
  CHECK_THROWS_WITH_AS(bias_max_min(Tensor({2, 4}), Tensor({4}, DType::f64)),
                       "max_min: expected bias of shape [4] and type f32, got [4] and f64",
                       ShapeError);
  CHECK_THROWS_WITH_AS(bias_max_min(Tensor({2, 3}), Tensor({3})),
                       "max_min: expected x of shape [..., C] with C even, got [2, 3]", ShapeError);
}

TEST_SUITE_END();
