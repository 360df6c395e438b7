#include <doctest/doctest.h>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/batch_norm.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/batch_norm");

namespace {

Tensor normal(const Shape& shape, std::uint64_t seed) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, DType::f64);
}

Var apply(const Vars& in) { return batch_norm(in[0], in[1], in[2], 1e-5); }

}  // namespace

TEST_CASE("batch_norm: every channel gets mean beta and deviation gamma; moments are plain sums") {
  const Tensor x = normal({4, 3, 5, 2}, 1);
  const Tensor gamma = Tensor::of({2, -0.5}, {2}, DType::f64);
  const Tensor beta = Tensor::of({1, 3}, {2}, DType::f64);
  const double epsilon = 1e-3;
  ChannelMoments moments;
  const Tensor y = batch_norm(x, gamma, beta, epsilon, &moments).value();
  CHECK(moments.samples == 60);
  for (std::int64_t c = 0; c < 2; ++c) {
    double mean = 0;
    double variance = 0;
    for (std::int64_t i = c; i < x.size(); i += 2) mean += x.at(i) / 60;
    for (std::int64_t i = c; i < x.size(); i += 2) variance += std::pow(x.at(i) - mean, 2) / 60;
    CHECK(moments.mean.at(c) == doctest::Approx(mean).epsilon(1e-13));
    CHECK(moments.variance.at(c) == doctest::Approx(variance).epsilon(1e-13));
    double error = 0;
    for (std::int64_t i = c; i < x.size(); i += 2) {
      const double expected =
          gamma.at(c) * (x.at(i) - mean) / std::sqrt(variance + epsilon) + beta.at(c);
      error = std::max(error, std::abs(y.at(i) - expected));
    }
    CHECK(error <= 1e-13);
  }
  const Tensor y32 =
      batch_norm(x.to(DType::f32), gamma.to(DType::f32), beta.to(DType::f32), epsilon).value();
  CHECK(max_abs_diff(y32.to(DType::f64), y) <= 2e-6);
}

TEST_CASE("batch_norm: vjp and jvp match finite differences") {
  for (const Shape& shape : {Shape{5, 3}, Shape{2, 3, 2, 4}, Shape{7, 1}}) {
    const Tensors at{normal(shape, 2), normal({shape[-1]}, 3), normal({shape[-1]}, 4)};
    CHECK(gradcheck("batch_norm", apply, at, {.step = 1e-3, .points = 6}));
  }
}

TEST_CASE("batch_norm: a constant channel becomes beta, with no gradient; one thread or several") {
  const int threads = num_threads();
  Tape constant;
  const Var x = constant.leaf(Tensor::full({6, 2}, 3, DType::f64));
  const Var y =
      batch_norm(x, Tensor::full({2}, 1, DType::f64), Tensor::full({2}, 5, DType::f64), 1e-5);
  CHECK(max_abs_diff(y.value(), Tensor::full({6, 2}, 5, DType::f64)) == 0);
  constant.backward(y, Tensor::full({6, 2}, 1, DType::f64));
  CHECK(max_abs(x.grad()) <= 1e-10);

  Tensor results[2][3];
  for (int run = 0; run < 2; ++run) {
    set_num_threads(run == 0 ? 1 : 3);
    Tape tape;
    const Var leaves[] = {tape.leaf(normal({4096, 24}, 5).to(DType::f32)),
                          tape.leaf(normal({24}, 6).to(DType::f32)),
                          tape.leaf(normal({24}, 7).to(DType::f32))};
    const Var z = batch_norm(leaves[0], leaves[1], leaves[2], 1e-5);
    tape.backward(z, normal({4096, 24}, 8).to(DType::f32));
    for (int i = 0; i < 3; ++i) results[run][i] = leaves[i].grad();
  }
  set_num_threads(threads);
  for (int i = 0; i < 3; ++i) CHECK(max_abs_diff(results[0][i], results[1][i]) == 0);
}

TEST_CASE("batch_norm: rejects what does not fit") {
  const Tensor v(Shape{3});
  CHECK_THROWS_WITH_AS(batch_norm(Tensor({0, 3}), v, v, 1e-5),
                       "batch_norm: expected x of shape [..., C] with at least one entry, got "
                       "[0, 3]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(batch_norm(Tensor({2, 3}), Tensor(Shape{2}), v, 1e-5),
                       "batch_norm: expected gamma of shape [3] and type f32, got [2] and f32",
                       ShapeError);
  CHECK_THROWS_WITH_AS(batch_norm(Tensor({2, 3}), v, Tensor(Shape{3}, DType::f64), 1e-5),
                       "batch_norm: expected beta of shape [3] and type f32, got [3] and f64",
                       ShapeError);
  CHECK_THROWS_WITH_AS(batch_norm(Tensor({2, 3}), v, v, 0),
                       "batch_norm: expected epsilon > 0, got 0", ValueError);
  CHECK_THROWS_WITH_AS(batch_norm(Tensor({2, 3}, DType::u8), v, v, 1e-5),
                       "batch_norm: expected f32 or f64, got u8", ShapeError);
}

TEST_SUITE_END();
