#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/bro.hpp>
#include <isotape/layers/gain.hpp>
#include <isotape/layers/head_proof.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/sandwich.hpp>
#include <isotape/layers/sequential.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/head_proof");

namespace {

Linear dense(std::int64_t in, std::int64_t out, std::uint64_t seed) {
  Rng rng(seed);
  return {in, out, Unconstrained{}, rng};
}

// |w_i - w_j| in long double.
long double distance(const Tensor& w, std::int64_t i, std::int64_t j) {
  long double square = 0;
  for (std::int64_t k = 0; k < w.dim(1); ++k) {
    const long double d = static_cast<long double>(w.at(i * w.dim(1) + k)) - w.at(j * w.dim(1) + k);
    square += d * d;
  }
  return std::sqrt(square);
}

}  // namespace

TEST_CASE("prove_head: body times |w_i - w_j|, rounded up, for every pair") {
  const Linear last = dense(6, 5, 3);
  const Tensor w = last.weight().folded();
  Sequential net;
  net.add("fc1", dense(8, 6, 2)).add("act", MaxMin()).add("fc2", dense(6, 5, 3));
  const HeadProof proof = prove_head(net);
  REQUIRE(proof.is_linear);
  CHECK(proof.head == "fc2");
  CHECK(proof.body.value == net.parts()[0].module->lipschitz_bound().value);
  CHECK(proof.net.value == net.lipschitz_bound().value);
  CHECK(proof.pair_norms.shape() == Shape{5, 5});
  double largest = 0;
  for (std::int64_t i = 0; i < 5; ++i) {
    for (std::int64_t j = 0; j < 5; ++j) {
      const long double exact = distance(w, i, j);
      CHECK(proof.pair_norms.at(i * 5 + j) >= exact);
      CHECK(proof.pair_norms.at(i * 5 + j) <= exact * (1 + 1e-13L));
      CHECK(proof.pair_bound(i, j) >= exact * proof.body.value);
      // No worse than sqrt(2) times the bound of the whole.
      CHECK(proof.pair_bound(i, j) <= std::sqrt(2.0) * proof.net.value * (1 + 1e-13));
      largest = std::max(largest, proof.pair_bound(i, j));
    }
  }
  CHECK(proof.pair_bound(3, 3) == 0);
  CHECK(proof.proof.enclosure.upper == largest);
  REQUIRE(proof.proof.parts.size() == 2);
  CHECK(proof.proof.parts[0].name == "body");
  CHECK(proof.proof.parts[0].parts.size() == 2);
  CHECK(proof.proof.parts[1].name == "fc2");
  CHECK_THROWS_WITH_AS(proof.pair_bound(0, 5), "pair_bound: expected classes below 5, got 0 and 5",
                       ShapeError);
}

TEST_CASE("prove_head: rows far from 1 and below the normal numbers") {
  for (const double scale : {1e-300, 1e-30, 1e30, 1e150}) {
    Linear last = dense(3, 2, 4);
    const Tensor wide = Tensor::of({scale, 0, 0, 0, scale, 0}, {2, 3}, DType::f64);
    last.parameters()[0].parameter->write() = wide;
    Sequential net;
    net.add("fc", std::move(last));
    const double norm = prove_head(net).pair_norms.at(1);
    CHECK(norm >= std::sqrt(2.0L) * scale);
    CHECK(norm <= std::sqrt(2.0L) * scale * (1 + 1e-13L));
  }
}

TEST_CASE("prove_head: within chains of chains, and with gains behind") {
  Sequential inner;
  inner.add("act", MaxMin()).add("fc", dense(4, 3, 7));
  Sequential net;
  net.add("fc1", dense(4, 4, 6)).add("tail", std::move(inner)).add("gain", Gain(-3));
  const HeadProof proof = prove_head(net);
  REQUIRE(proof.is_linear);
  CHECK(proof.head == "tail.fc");
  CHECK(proof.body.value == net.parts()[0].module->lipschitz_bound().value);
  const Tensor w = dense(4, 3, 7).weight().folded();
  CHECK(proof.pair_norms.at(1) >= 3 * distance(w, 0, 1));
  CHECK(proof.pair_norms.at(1) <= 3 * distance(w, 0, 1) * (1 + 1e-13L));
}

TEST_CASE("prove_head: a net of one dense layer has the body 1") {
  Sequential net;
  net.add("fc", dense(4, 3, 7));
  CHECK(prove_head(net).body.value == 1);
  const HeadProof alone = prove_head(dense(4, 3, 7));
  CHECK(alone.is_linear);
  CHECK(alone.body.value == 1);
}

TEST_CASE("prove_head: block reflectors and the last sandwich layer are dense, too") {
  Rng rng(8);
  Sequential bro;
  bro.add("fc", BroLinear(6, 4, 0, rng));
  CHECK(prove_head(bro).is_linear);
  CHECK(prove_head(bro).pair_norms.at(1) == doctest::Approx(std::sqrt(2)).epsilon(1e-6));
  Sequential lbdn;
  lbdn.add("first", Sandwich(5, 6, rng, {.gamma = 4}));
  lbdn.add("last", Sandwich(6, 3, rng, {.gamma = 4, .output = true}));
  const HeadProof proof = prove_head(lbdn);
  REQUIRE(proof.is_linear);
  const auto& last = dynamic_cast<const Sandwich&>(*lbdn.parts()[1].module);
  const Tensor bt = last.folded_weight().rows(3, 9);  // [6, 3]: columns are the rows of B
  long double square = 0;
  for (std::int64_t k = 0; k < 6; ++k) {
    const long double d = static_cast<long double>(bt.at(k * 3)) - bt.at(k * 3 + 1);
    square += d * d;
  }
  CHECK(proof.pair_norms.at(1) >= 2 * std::sqrt(square));
  CHECK(proof.pair_norms.at(1) <= 2 * std::sqrt(square) * (1 + 1e-6L));
}

TEST_CASE("prove_head: behind another last layer every pair has sqrt(2) of the whole") {
  Sequential net;
  net.add("fc", dense(4, 4, 7)).add("act", MaxMin());
  const HeadProof proof = prove_head(net);
  CHECK_FALSE(proof.is_linear);
  CHECK(proof.body.value == net.lipschitz_bound().value);
  const long double two = static_cast<long double>(proof.pair_bound(0, 1)) * proof.pair_bound(0, 1);
  CHECK(two >= 2.0L * proof.body.value * proof.body.value);
  CHECK(proof.pair_bound(1, 1) == 0);
}

TEST_CASE("prove_head: names the layer whose weight is not a number") {
  Linear last = dense(4, 3, 7);
  last.parameters()[0].parameter->write() =
      Tensor::full({3, 4}, std::numeric_limits<double>::quiet_NaN());
  Sequential net;
  net.add("fc", std::move(last));
  CHECK_THROWS_WITH_AS(prove_head(net), "fc: linear: expected a weight of numbers, found NaN",
                       NumericError);
}

TEST_SUITE_END();
