#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/null_space.hpp>
#include <isotape/layers/weight.hpp>
#include <isotape/ops/matmul.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/weight");

namespace {

// A matrix of the given rank with singular values 1..rank.
Tensor of_rank(std::int64_t m, std::int64_t n, std::int64_t rank, Rng& rng) {
  Tensor left = random_orthogonal(rng, {m, rank}, 1, DType::f64);
  const Tensor right = random_orthogonal(rng, {rank, n}, 1, DType::f64);
  for (std::int64_t i = 0; i < left.size(); ++i) {
    left.write<double>()[i] *= static_cast<double>(i % rank + 1);
  }
  return matmul(left, right).value();
}

}  // namespace

TEST_CASE("weight: the gradient of three steps of bjorck through a layer, its divisor held") {
  for (const auto& [in, out] : {std::pair<std::int64_t, std::int64_t>{6, 6}, {3, 8}, {8, 3}}) {
    CAPTURE(in);
    CAPTURE(out);
    Rng rng(2);
    const Bjorck three{.options = {.iterations = 3, .prescale = 1.5}, .raw_gain = 1};
    Linear layer(in, out, three, rng);
    Parameter& raw = *layer.parameters().front().parameter;
    Parameter& bias = *layer.parameters().back().parameter;
    bias.write() = bias.value().to(DType::f64);
    const Tensor x = random_normal(rng, {4, in}, 1, DType::f64);
    const auto f = [&](const Vars& w) {
      raw.write() = w[0].value();
      if (Tape* tape = Tape::active()) tape->remember(&raw, raw.version(), w[0]);
      return layer.forward(x);
    };
    const Tensor w = random_normal(rng, {out, in}, 0.4, DType::f64);
    CHECK(gradcheck("linear", f, {w}, {.step = 1e-3, .points = 4}));
  }
}

TEST_CASE("weight: initial values follow the constraint") {
  Rng rng(1);
  const Weight polar({10, 40}, Bjorck{}, rng);
  const auto sigma = singular_values(polar.raw.value());
  CHECK(std::abs(sigma.front() - 1 / std::sqrt(40.0)) < 1e-6);
  CHECK(std::abs(sigma.back() - 1 / std::sqrt(40.0)) < 1e-6);
  CHECK_FALSE(polar.raw.decays);
  const Weight gained({6, 6}, Bjorck{.raw_gain = 3}, rng);
  CHECK(std::abs(singular_values(gained.raw.value()).front() - 3) < 1e-5);
  const Weight free({10, 40}, Unconstrained{}, rng);
  CHECK(max_abs(free.raw.value()) <= 1 / std::sqrt(40.0));
  CHECK(free.raw.decays);
}

TEST_CASE("weight: the folded weight is orthogonal to 3e-7 and cached per version") {
  Rng rng(2);
  Weight weight({30, 50}, Bjorck{}, rng);
  weight.raw.write() = random_normal(rng, {30, 50});
  const Tensor folded = weight.folded();
  const auto sigma = singular_values(folded);
  CHECK(std::abs(sigma.front() - 1) <= 3e-7);
  CHECK(std::abs(sigma.back() - 1) <= 3e-7);
  CHECK(weight.residual().value <= 6e-7);
  CHECK(weight.folded().shares_storage_with(folded));
  weight.raw.write();
  CHECK_FALSE(weight.folded().shares_storage_with(folded));
}

TEST_CASE("complete_rank: extends the range by an orthonormal basis and keeps the rest") {
  for (const auto& extents : {std::array{6, 6, 4}, std::array{8, 5, 3}, std::array{5, 8, 2}}) {
    const int m = extents[0];
    const int n = extents[1];
    const int rank = extents[2];
    CAPTURE(m);
    Rng rng(3);
    const Tensor w = of_rank(m, n, rank, rng);
    const Tensor full = complete_rank(w, 0.5, rng);
    auto sigma = singular_values(full);
    for (int i = 0; i < rank; ++i) CHECK(std::abs(sigma[i] - (rank - i)) < 1e-10);
    for (std::size_t i = rank; i < sigma.size(); ++i) CHECK(std::abs(sigma[i] - 0.5) < 1e-10);
    CHECK(complete_rank(full, 0.5, rng).shares_storage_with(full));
  }
}

TEST_CASE("weight: a raw matrix that lost rank is completed at load and refused in training") {
  Rng rng(4);
  Linear layer(6, 4, Bjorck{}, rng);
  Parameter& raw = *layer.parameters()[0].parameter;
  raw.write() = of_rank(4, 6, 3, rng).to(DType::f32);
  {
    Tape tape;
    CHECK_THROWS_AS(layer.prepare(), NumericError);
  }
  Weight& weight = *layer.weights()[0].weight;
  const auto warning = weight.complete_null_space("fc1");
  REQUIRE(warning);
  CHECK(
      *warning ==
      "fc1: 1 of 1 raw matrices had lost rank; completed them by a seeded orthonormal basis of the "
      "null space");
  CHECK(std::abs(singular_values(weight.folded()).back() - 1) < 3e-7);
  CHECK_FALSE(weight.complete_null_space("fc1"));
  Tape tape;
  CHECK_NOTHROW(layer.prepare());
}

TEST_CASE("weight: a factor by Cholesky is orthogonal, and a lost rank completed or refused") {
  Rng rng(8);
  Linear layer(4, 6, CholeskyQr{}, rng);
  Weight& weight = *layer.weights()[0].weight;
  CHECK(weight.is_orthogonal());
  CHECK(std::abs(singular_values(weight.raw.value()).front() - 1) < 1e-6);
  weight.raw.write() = random_normal(rng, {6, 4});
  CHECK(weight.residual().value <= 3e-7);
  CHECK(weight.residual().reason == "max |W^T W - I|, smaller side");
  CHECK_FALSE(weight.complete_null_space("fc1"));
  weight.raw.write() = of_rank(6, 4, 3, rng).to(DType::f32);
  {
    Tape tape;
    CHECK_THROWS_AS(layer.prepare(), NumericError);
    CHECK_THROWS_AS(weight.folded(), NumericError);
  }
  CHECK(weight.complete_null_space("fc1"));
  CHECK(weight.residual().value <= 3e-7);
  // Between what a polar factor and what a factor by Cholesky still takes.
  weight.raw.write() = Tensor::of({1, 0, 0, 5e-7}, {2, 2});
  CHECK(weight.complete_null_space("fc1"));
  CHECK(weight.residual().value <= 3e-7);
  CHECK_THROWS_WITH_AS(Weight({2, 2}, CholeskyQr{.raw_gain = 0}, rng),
                       "cholesky-qr: expected raw_gain > 0, got 0", ValueError);
}

TEST_CASE("weight: the zero matrix and NaN are refused in training, naming the layer") {
  Rng rng(5);
  for (const double value : {0.0, std::numeric_limits<double>::quiet_NaN()}) {
    Linear layer(6, 4, Bjorck{}, rng);
    layer.parameters()[0].parameter->write() = Tensor::full({4, 6}, value);
    Tape tape;
    CHECK_THROWS_AS(layer.prepare(), NumericError);
  }
}

TEST_CASE(
    "weight: a fixed number of steps is folded as it was trained, and claims no orthogonality") {
  Rng rng(7);
  Weight weight({6, 4}, Bjorck{{.iterations = 2}}, rng);
  weight.raw.write() = random_normal(rng, {6, 4});
  CHECK_FALSE(weight.is_orthogonal());
  CHECK(singular_values(weight.folded()).back() < 0.99);
  const Tensor folded = weight.folded();
  Tape tape;
  CHECK(max_abs_diff(weight.var().value(), folded) <= 1e-6);
  CHECK_THROWS_WITH_AS(
      weight.retract(),
      "retract: expected a weight that is a factor of raw (bjorck, cholesky-qr), got bjorck with a "
      "fixed number of iterations",
      ValueError);
}

TEST_CASE("weight: retracted, raw is on the manifold and is the weight up to its scale") {
  Rng rng(6);
  Weight weight({5, 9}, Bjorck{}, rng);
  weight.raw.write() = random_normal(rng, {5, 9});
  const Tensor before = weight.folded();
  weight.retract();
  REQUIRE(weight.raw.manifold);
  CHECK(std::abs(weight.raw.manifold->scale - 1.0 / 3) < 1e-12);
  Tape tape;
  CHECK(max_abs_diff(weight.var().value(), before) < 1e-6);
  Weight factor({2, 9, 5}, CholeskyQr{.raw_gain = 2}, rng);
  factor.raw.write() = random_normal(rng, {2, 9, 5});
  const Tensor old = factor.folded();
  factor.retract();
  REQUIRE(factor.raw.manifold);
  CHECK(factor.raw.manifold->scale == 2);
  CHECK(max_abs_diff(factor.var().value(), old) < 1e-6);
  CHECK(max_abs_diff(factor.folded(), old) < 1e-6);
  Weight free({5, 9}, Unconstrained{}, rng);
  CHECK_THROWS_WITH_AS(
      free.retract(),
      "retract: expected a weight that is a factor of raw (bjorck, cholesky-qr), got unconstrained",
      ValueError);
}

TEST_SUITE_END();
