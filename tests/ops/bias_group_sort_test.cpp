#include <doctest/doctest.h>
#include <utility>

#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/pointwise.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/group_sort.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/bias_group_sort");

namespace {

const Pairing pairings[] = {Pairing::split, Pairing::adjacent};

struct Run {
  Tensor y, grad_x, grad_bias;
};

template <class F>
Run run(const F& f, const Tensor& x, const Tensor& bias, const Tensor& dy) {
  Tape tape;
  const Var x_leaf = tape.leaf(x);
  const Var bias_leaf = tape.leaf(bias);
  const Var y = f(x_leaf, bias_leaf);
  tape.backward(y, dy.clone());
  return {y.value(), x_leaf.grad(), bias_leaf.grad()};
}

}  // namespace

TEST_CASE("bias_group_sort: is group_sort of the sum, and so are its gradients") {
  Rng rng(1);
  for (const Pairing pairing : pairings) {
    for (const Shape& shape : {Shape{600}, Shape{7, 24}, Shape{2, 3, 4, 600}}) {
      const Tensor x = random_normal(rng, shape, 1, DType::f64);
      const Tensor bias = random_normal(rng, {shape[-1]}, 1, DType::f64);
      const Tensor dy = random_normal(rng, shape, 1, DType::f64);
      for (const int size : {1, 2, 3, 4, 24, 300}) {
        if (shape[-1] % size != 0) continue;
        CAPTURE(size);
        const auto at_once = [&](const Var& a, const Var& b) {
          return bias_group_sort(a, b, size, pairing);
        };
        const auto in_two = [&](const Var& a, const Var& b) {
          return group_sort(add(a, b), size, pairing);
        };
        const Run fused = run(at_once, x, bias, dy);
        const Run plain = run(in_two, x, bias, dy);
        CHECK(max_abs_diff(fused.y, plain.y) == 0);
        CHECK(max_abs_diff(fused.grad_x, plain.grad_x) == 0);
        CHECK(max_abs_diff(fused.grad_bias, plain.grad_bias) < 1e-13);
      }
    }
  }
}

TEST_CASE("bias_group_sort: vjp and jvp match finite differences") {
  Rng rng(2);
  for (const Pairing pairing : pairings) {
    for (const Shape& shape : {Shape{4}, Shape{3, 36}, Shape{2, 2, 3, 20}}) {
      const Tensor x = random_normal(rng, shape, 1, DType::f64);
      const Tensor bias = random_normal(rng, {shape[-1]}, 1, DType::f64);
      for (const int size : {2, 4, 18}) {
        if (shape[-1] % size != 0) continue;
        const auto both = [&](const Vars& in) {
          return bias_group_sort(in[0], in[1], size, pairing);
        };
        CHECK(gradcheck("bias_group_sort", both, {x, bias}));
        const auto of_bias = [&](const Vars& in) {
          return bias_group_sort(x, in[0], size, pairing);
        };
        CHECK(gradcheck("bias_group_sort", of_bias, {bias}));
      }
    }
  }
}

TEST_CASE("group_sort: takes the memory of a value that is given away, and of no other") {
  Rng rng(3);
  const Tensor x = random_normal(rng, {4, 600});
  const Tensor before = x.clone();
  for (const int size : {4, 20, 300}) {
    CAPTURE(size);
    const Tensor y = group_sort(x, size).value();
    CHECK_FALSE(y.shares_storage_with(x));
    CHECK(max_abs_diff(x, before) == 0);
    Tensor given = x.clone();
    const auto* memory = given.data<float>();
    const Tensor z = group_sort(std::move(given), size).value();
    CHECK(z.data<float>() == memory);
    CHECK(max_abs_diff(z, y) == 0);
  }
}

TEST_CASE("group_sort: backward leaves a dy that others hold untouched") {
  Rng rng(4);
  const Tensor x = random_normal(rng, {4, 600});
  const Tensor dy = random_normal(rng, {4, 600});
  const Tensor before = dy.clone();
  for (const int size : {4, 20, 300}) {
    Tape tape;
    const Var leaf = tape.leaf(x);
    tape.backward(group_sort(leaf, size), dy);
    CHECK(max_abs_diff(dy, before) == 0);
    CHECK(max_abs_diff(leaf.grad(), dy) > 0);
  }
}

TEST_CASE("bias_group_sort: one thread gives what several give") {
  Rng rng(5);
  const int threads = num_threads();
  const Tensor x = random_normal(rng, {5000, 40});
  const Tensor bias = random_normal(rng, {40});
  const Tensor dy = random_normal(rng, {5000, 40});
  for (const int size : {4, 20}) {
    const auto f = [&](const Var& a, const Var& b) { return bias_group_sort(a, b, size); };
    set_num_threads(1);
    const Run one = run(f, x, bias, dy);
    set_num_threads(3);
    const Run several = run(f, x, bias, dy);
    set_num_threads(threads);
    CHECK(max_abs_diff(one.y, several.y) == 0);
    CHECK(max_abs_diff(one.grad_x, several.grad_x) == 0);
    CHECK(max_abs_diff(one.grad_bias, several.grad_bias) == 0);
  }
}

TEST_CASE("GroupSort, FullSort: add the bias of the layer before them in their own pass") {
  Rng rng(6);
  const Tensor x = random_normal(rng, {5, 12}, 1, DType::f64);
  const Tensor bias = random_normal(rng, {12}, 1, DType::f64);
  const GroupSort groups(4);
  const FullSort all;
  for (const Module* sort :
       {static_cast<const Module*>(&groups), static_cast<const Module*>(&all)}) {
    CAPTURE(sort->kind());
    CHECK(sort->adds_bias());
    const Tensor fused = sort->forward_consuming(x, bias).value();
    CHECK(max_abs_diff(fused, sort->forward(add(Var(x), bias)).value()) == 0);
  }
}

TEST_CASE("bias_group_sort: empty batches have a zero gradient of the bias") {
  const auto f = [](const Var& a, const Var& b) { return bias_group_sort(a, b, 4); };
  const Run r = run(f, Tensor({0, 4}), Tensor::full({4}, 1), Tensor({0, 4}));
  CHECK(r.y.shape() == Shape{0, 4});
  CHECK(max_abs(r.grad_bias) == 0);
}

TEST_CASE("bias_group_sort: rejects a bias that does not fit") {
  CHECK_THROWS_WITH_AS(bias_group_sort(Tensor({2, 4}), Tensor({2}), 4),
                       "group_sort: expected bias of shape [4] and type f32, got [2] and f32",
                       ShapeError);
  CHECK_THROWS_WITH_AS(bias_group_sort(Tensor({2, 4}), Tensor({4}, DType::f64), 4),
                       "group_sort: expected bias of shape [4] and type f32, got [4] and f64",
                       ShapeError);
}

TEST_SUITE_END();
