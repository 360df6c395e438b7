#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/group_sort.hpp>
#include <isotape/ops/maxout.hpp>
#include <isotape/ops/reshape.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/maxout");

namespace {

const Pairing pairings[] = {Pairing::split, Pairing::adjacent};

}  // namespace

TEST_CASE("maxout: the first channels of group_sort, in f64 and f32") {
  Rng rng(1);
  const Tensor x = random_normal(rng, {4, 3, 12}, 1, DType::f64);
  for (const int size : {1, 2, 3, 4, 12}) {
    const Tensor sorted = group_sort(x, size).value();
    const Tensor y = maxout(x, size).value();
    CHECK(max_abs_diff(y, slice(sorted, -1, 0, 12 / size).value()) == 0);
    CHECK(max_abs_diff(maxout(x.to(DType::f32), size).value(), y.to(DType::f32)) == 0);
    const Tensor adjacent = maxout(x, size, Pairing::adjacent).value();
    const Tensor within = group_sort(x, size, Pairing::adjacent).value();
    for (std::int64_t i = 0; i < adjacent.size(); ++i) {
      REQUIRE(adjacent.at(i) == within.at(i * size));
    }
  }
}

TEST_CASE("maxout: vjp and jvp match finite differences") {
  Rng rng(2);
  for (const Pairing pairing : pairings) {
    for (const Shape& shape : {Shape{12}, Shape{3, 12}, Shape{2, 2, 2, 12}}) {
      const Tensor x = random_normal(rng, shape, 1, DType::f64);
      for (const int size : {1, 2, 3, 12}) {
        const auto f = [=](const Vars& in) { return maxout(in[0], size, pairing); };
        CHECK(gradcheck("maxout", f, {x}));
      }
    }
  }
}

TEST_CASE("maxout: the earliest of equal inputs takes the gradient whole, NaN counts as largest") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor x = Tensor::of({2, 1, 2, nan, 2, 3}, {6}, DType::f64);  // (2, 2, 2), (1, nan, 3)
  Tape tape;
  const Var leaf = tape.leaf(x);
  const Var y = maxout(leaf, 3);
  CHECK(y.value().at(0) == 2);
  CHECK(std::isnan(y.value().at(1)));
  tape.backward(y, Tensor::of({5, 7}, {2}, DType::f64));
  const Tensor expected = Tensor::of({5, 0, 0, 7, 0, 0}, {6}, DType::f64);
  CHECK(max_abs_diff(leaf.grad(), expected) == 0);
}

TEST_CASE("maxout: the gradient's norm is kept; one thread gives what several give") {
  Rng rng(3);
  const int threads = num_threads();
  const Tensor x = random_normal(rng, {8192, 24});
  const Tensor dy = random_normal(rng, {8192, 8});
  Tensor grads[2];
  for (int run = 0; run < 2; ++run) {
    set_num_threads(run == 0 ? 1 : 3);
    Tape tape;
    const Var leaf = tape.leaf(x);
    tape.backward(maxout(leaf, 3), dy.clone());
    grads[run] = leaf.grad();
  }
  set_num_threads(threads);
  CHECK(max_abs_diff(grads[0], grads[1]) == 0);
  CHECK(frobenius_norm(grads[0]) == doctest::Approx(frobenius_norm(dy)).epsilon(1e-12));
}

TEST_CASE("maxout: rejects groups that do not divide; empty tensors pass") {
  CHECK(maxout(Tensor({0, 6}), 3).shape() == Shape{0, 2});
  CHECK_THROWS_WITH_AS(maxout(Tensor({2, 6}), 4),
                       "maxout: expected x of shape [..., C] with C a multiple of the group size "
                       "4, got [2, 6]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(maxout(Tensor({2, 6}), 0), "maxout: expected a group size >= 1, got 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(maxout(Tensor({2, 6}, DType::u8), 2), "maxout: expected f32 or f64, got u8",
                       ShapeError);
}

TEST_SUITE_END();
