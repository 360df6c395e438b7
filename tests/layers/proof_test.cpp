#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/branches.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/proof.hpp>
#include <isotape/layers/sequential.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/proof");

namespace {

Proof leaf(double lower, double upper) {
  Proof proof;
  proof.enclosure = {lower, upper, "given"};
  return proof;
}

}  // namespace

TEST_CASE("bound_product, bound_sum, bound_root: never below the exact value") {
  // long double holds the product of two doubles of 53 bits to 64: enough to see the last place.
  Rng rng(3);
  const Tensor values = random_uniform(rng, {400}, 0.5, 2, DType::f64);
  for (std::int64_t i = 0; i + 1 < values.size(); ++i) {
    const long double a = values.at(i);
    const long double b = values.at(i + 1);
    const double product = bound_product(values.at(i), values.at(i + 1));
    CHECK(product >= a * b);
    CHECK(product <= a * b * (1 + 0x1p-51L));
    CHECK(lower_product(values.at(i), values.at(i + 1)) <= a * b);
    CHECK(bound_sum(values.at(i), values.at(i + 1)) >= a + b);
    CHECK(lower_difference(values.at(i), values.at(i + 1)) <= std::max(0.0L, a - b));
    const long double root = bound_root(values.at(i));
    CHECK(root * root >= a);
  }
}

TEST_CASE("bound_product: subnormal products and overflow stay on the safe side") {
  constexpr double least = std::numeric_limits<double>::denorm_min();
  CHECK(bound_product(least, least) == least);  // exactly 2^-2148, which rounds to 0
  CHECK(lower_product(least, least) == 0);
  CHECK(lower_product(least, 1.5) == least);  // exactly 1.5 of the least, which rounds to 2
  CHECK(std::isinf(bound_product(1e200, 1e200)));
  CHECK(lower_product(1e200, 1e200) == std::numeric_limits<double>::max());
  CHECK(bound_product(1, 0.1) == 0.1);
}

TEST_CASE("compose: the rules of a graph, and lower ends where parts are of one side") {
  const std::vector<Proof> parts{leaf(0.5, 2), leaf(0.25, 3)};
  const Proof chain = compose(Composition::chain, "Sequential", parts, true);
  CHECK(chain.enclosure.upper == doctest::Approx(6).epsilon(1e-15));
  CHECK(chain.enclosure.upper > 6);
  CHECK(chain.enclosure.lower == doctest::Approx(0.125).epsilon(1e-15));
  CHECK(chain.enclosure.lower < 0.125);
  CHECK(compose(Composition::chain, "", parts, false).enclosure.lower == 0);
  const Enclosure split = compose(Composition::split, "", parts, true).enclosure;
  CHECK(split.upper == 3);
  CHECK(split.lower == 0.25);
  const Enclosure concat = compose(Composition::concat, "", parts, true).enclosure;
  CHECK(concat.upper == doctest::Approx(std::sqrt(13)).epsilon(1e-15));
  CHECK(concat.upper * static_cast<long double>(concat.upper) >= 13.0L);
  CHECK(concat.lower == 0);
  CHECK(compose(Composition::sum, "", parts, true).enclosure.upper > 5);
  const Proof empty = compose(Composition::chain, "", {}, true);
  CHECK(empty.enclosure.upper == 1);
  CHECK(empty.enclosure.lower == 1);
}

TEST_CASE("compose: a part without a bound leaves none") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Composition rule :
       {Composition::chain, Composition::split, Composition::concat, Composition::sum}) {
    for (const bool first : {true, false}) {
      const std::vector<Proof> parts{leaf(0, first ? nan : 1), leaf(0, first ? 1 : nan)};
      CHECK_FALSE(compose(rule, "", parts, true).enclosure.upper <= 1e300);
    }
  }
}

TEST_CASE("convex_combination: 1 + a (L - 1), and what is left of the identity") {
  CHECK(convex_combination("", leaf(0, 1), 0.3).enclosure.upper == 1);
  CHECK(convex_combination("", leaf(0, 5), 0).enclosure.upper == 1);
  CHECK(convex_combination("", leaf(0, 3), 0.25).enclosure.upper >= 1.5);
  CHECK(convex_combination("", leaf(0, 3), 0.25).enclosure.upper < 1.5 + 1e-14);
  const Enclosure small = convex_combination("", leaf(0, 0.5), 0.1).enclosure;
  CHECK(small.upper >= 0.95L);
  CHECK(small.upper < 0.95 + 1e-14);
  CHECK(small.lower == doctest::Approx(0.85).epsilon(1e-14));
  CHECK(convex_combination("", leaf(0, 3), 0.5).enclosure.lower == 0);
}

TEST_CASE(
    "behind_input_scaling: divides by the least deviation, not by their mean or the largest") {
  const Proof scaled = behind_input_scaling(leaf(1, 1), {0.2, 0.25, 0.5});
  CHECK(scaled.enclosure.upper >= 5);
  CHECK(scaled.enclosure.upper < 5 + 1e-14);
  CHECK(scaled.enclosure.lower == doctest::Approx(2).epsilon(1e-14));
  REQUIRE(scaled.parts.size() == 2);
  CHECK(scaled.parts[0].kind == "InputScaling");
  CHECK(behind_input_scaling(leaf(1, 1), {1}).enclosure.upper == 1);
  CHECK_THROWS_WITH_AS(behind_input_scaling(leaf(1, 1), {0.2, 0}),
                       "behind_input_scaling: expected deviations > 0, got 0", ValueError);
  CHECK_THROWS_WITH_AS(behind_input_scaling(leaf(1, 1), {}),
                       "behind_input_scaling: expected deviations, got none", ValueError);
}

TEST_CASE("Module::proof: a tree of the graph whose root is what lipschitz_bound() says") {
  Rng rng(5);
  auto branch = [&] {
    auto chain = std::make_unique<Sequential>();
    chain->add("fc", Linear(4, 4, Unconstrained{}, rng));
    return chain;
  };
  Branches sum(Join::sum);
  sum.add("left", branch());
  sum.add("right", branch());
  Sequential net;
  net.add("sum", std::move(sum));
  net.add("act", MaxMin());
  const Proof proof = net.proof();
  CHECK(proof.kind == "Sequential");
  REQUIRE(proof.parts.size() == 2);
  CHECK(proof.parts[0].name == "sum");
  REQUIRE(proof.parts[0].parts.size() == 2);
  CHECK(proof.parts[0].parts[1].name == "right");
  CHECK(proof.parts[0].parts[1].parts[0].name == "fc");
  CHECK(proof.parts[0].parts[1].parts[0].kind == "Linear");
  CHECK(proof.enclosure.upper == net.lipschitz_bound().value);
  CHECK(proof.enclosure.rule == net.lipschitz_bound().rule);
  CHECK(proof.parts[0].enclosure.upper == bound_sum(proof.parts[0].parts[0].enclosure.upper,
                                                    proof.parts[0].parts[1].enclosure.upper));
  CHECK(proof.parts[1].enclosure.lower == 1);
}

TEST_CASE("Module::proof: a net of orthogonal layers keeps gradients, and says how well") {
  Rng rng(6);
  Sequential net;
  net.add("fc1", Linear(32, 16, Bjorck{}, rng)).add("act", MaxMin());
  net.add("fc2", Linear(16, 10, Bjorck{}, rng));
  const Enclosure sigma = net.enclosure();
  CHECK(sigma.lower > 1 - 1e-6);
  CHECK(sigma.upper < 1 + 1e-6);
  // Wide behind tall keeps nothing: vectors that the first adds may be those the second drops.
  Sequential mixed;
  mixed.add("fc1", Linear(8, 16, Bjorck{}, rng)).add("fc2", Linear(16, 8, Bjorck{}, rng));
  CHECK(mixed.enclosure().lower == 0);
}

TEST_SUITE_END();
