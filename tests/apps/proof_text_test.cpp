#include <doctest/doctest.h>

#include <isotape/apps/proof_text.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/sequential.hpp>

using namespace isotape;

namespace {

Proof example() {
  Proof inner =
      compose(Composition::chain, "Sequential",
              {proof_line("fc", "Linear", {0.9999999991, 1.0000000002, "eigenvalues"})}, true);
  inner.name = "body";
  return compose(Composition::chain, "Sequential",
                 {inner, proof_line("act", "MaxMin", {1, 1, "a permutation"})}, true);
}

}  // namespace

TEST_SUITE_BEGIN("apps/proof_text");

TEST_CASE("proof_text: an indented tree, every number rounded outwards") {
  CHECK(proof_text(example()) ==
        R"(line    kind           sigma >=     sigma <=  because
------  ----------  -----------  -----------  ----------------------------------------
net     Sequential  0.999999999  1.000000001  product over the chain, rounded outwards
  body  Sequential  0.999999999  1.000000001  product over the chain, rounded outwards
    fc  Linear      0.999999999  1.000000001  eigenvalues
  act   MaxMin      1.000000000  1.000000000  a permutation
)");
}

TEST_CASE("proof_json: nested as the tree is") {
  const auto json = proof_json(example());
  CHECK(json["name"] == "net");
  CHECK(json["parts"].size() == 2);
  CHECK(json["parts"][0]["parts"][0]["name"] == "fc");
  CHECK(json["parts"][0]["parts"][0]["upper"] == 1.0000000002);
  CHECK(json["parts"][0]["parts"][0]["lower"] == 0.9999999991);
  CHECK(json["parts"][0]["parts"][0]["rule"] == "eigenvalues");
  CHECK(json["parts"][1]["parts"].empty());
}

TEST_CASE("head_text, head_json: pairs of rows, or sqrt(2) of the whole") {
  Rng rng(3);
  Sequential net;
  net.add("fc1", Linear(6, 4, Bjorck{}, rng)).add("act", MaxMin());
  CHECK(head_text(prove_head(net)).find("(sqrt(2) times the net's)") != std::string::npos);
  CHECK(head_json(prove_head(net))["pairs"].is_null());
  CHECK(head_json(prove_head(net))["layer"].is_null());
  net.add("fc2", Linear(4, 3, Bjorck{}, rng));
  const HeadProof head = prove_head(net);
  CHECK(head_text(head).find("|w_i - w_j| of fc2 times") != std::string::npos);
  const auto json = head_json(head);
  CHECK(json["layer"] == "fc2");
  CHECK(json["body"] == head.body.value);
  CHECK(json["pairs"][0][1] == head.pair_norms.at(1));
  CHECK(json["pairs"].size() == 3);
}

TEST_SUITE_END();
