#include <doctest/doctest.h>
#include <limits>
#include <nlohmann/json.hpp>

#include <isotape/apps/audit_text.hpp>

using namespace isotape;

namespace {

AuditReport example() {
  AuditReport report;
  report.model = "tiny";
  report.input = {4, 4, 1};
  report.proof = compose(
      Composition::chain, "Sequential",
      {proof_line("conv1", "BcopConv2d", {0.9999999988, 1.0000000012, "limits of the symbol"}),
       proof_line("act1", "MaxMin", {1, 1, "a permutation at every point"})},
      true);
  report.bound = {1.0000000012, "product over the chain, rounded outwards"};
  report.head.body = report.head.net = report.bound;
  report.head.proof = proof_line("logit differences", "Pairs", {0, 1.5, "sqrt(2) times"});
  report.samples = 128;
  report.active = 100;
  report.loss = 0.5;
  report.input_gradient = 0.75;
  report.input_low = 0.5;
  report.input_median = 0.7;
  report.input_high = 0.9;
  report.input_units = 1;
  report.jacobian = {16, 0.25, 0.5, 0.75, "SVD of the whole Jacobian"};
  LayerAudit conv;
  conv.name = "conv1";
  conv.kind = "BcopConv2d";
  conv.description = "BcopConv2d 1 -> 4";
  conv.output = {4, 4, 4};
  conv.claim = "keeps activations";
  conv.spectrum = {{1.00000002, 1, 0.99999998}, "SVD of something"};
  conv.residual = {3e-8, "largest |sigma - 1|"};
  conv.proved_min = 0.9999999988;
  conv.bound = {1.0000000012, "limits of the symbol"};
  conv.product = conv.bound.value;
  conv.share = 1;
  conv.gradient = conv.gradient_low = conv.gradient_median = conv.gradient_high = 1;
  conv.units = 0.5;
  conv.gain_min = 0.5;
  conv.gain_max = 0.75;
  LayerAudit act;
  act.name = "act1";
  act.kind = "MaxMin";
  act.output = {4, 4, 4};
  act.claim = "isometry";
  act.proved_min = 1;
  act.bound = {1, "a permutation at every point"};
  act.product = conv.product;
  act.gradient = act.gradient_low = act.gradient_median = act.gradient_high = 1;
  act.units = 0.25;
  act.gain_min = std::numeric_limits<double>::quiet_NaN();
  act.gain_max = act.gain_min;
  report.layers = {conv, act};
  return report;
}

}  // namespace

TEST_SUITE_BEGIN("apps/audit_text");

TEST_CASE("audit_text: the page says what is proved, what is measured, and of what") {
  CHECK(to_text(example()) ==
        R"(tiny, 2 layers, input [4, 4, 1]

layer  kind        output     claim                sigma_min    sigma_max    proved >=    proved <=  residual   share
-----  ----------  ---------  -----------------  -----------  -----------  -----------  -----------  --------  ------
conv1  BcopConv2d  [4, 4, 4]  keeps activations  0.999999980  1.000000020  0.999999998  1.000000002   3.0e-08  100.0%
act1   MaxMin      [4, 4, 4]  isometry                     -            -  1.000000000  1.000000000         -    0.0%

sigma: measured, in f64, of the folded weights; not a proof
  conv1: SVD of something
proved: limits of all singular values, of the layer's Jacobian where it is not linear
residual: how far the layer is from its own constraint
  conv1: largest |sigma - 1|
share: part of the net's bound that is the layer's, by the logarithm

Gradients, measured on 128 samples, 100 of them with a gradient at the logits, mean loss 0.5000:

after  |dL/dh|, logits 1       5 %    median      95 %   units  least factor  largest factor
-----  -----------------  --------  --------  --------  ------  ------------  --------------
input           0.750000  0.500000  0.700000  0.900000  100.0%             -               -
conv1           1.000000  1.000000  1.000000  1.000000   50.0%      0.500000        0.750000
act1            1.000000  1.000000  1.000000  1.000000   25.0%             -               -

|dL/dh|: root mean square over the samples of the gradient's norm; 5 %, median, 95 %: of single
samples; units: entries whose gradient is not 0; factor: by which the layer multiplies it

Jacobian of the logits at 16 inputs: singular values 0.250000 to 0.750000, median 0.500000 (SVD of the whole Jacobian)

Proved bound of the net in l2: 1.000000002 (product over the chain, rounded outwards)

line     kind           sigma >=     sigma <=  because
-------  ----------  -----------  -----------  ----------------------------------------
net      Sequential  0.999999998  1.000000002  product over the chain, rounded outwards
  conv1  BcopConv2d  0.999999998  1.000000002  limits of the symbol
  act1   MaxMin      1.000000000  1.000000000  a permutation at every point

Proved bound of a difference of two logits: 1.500000000 (sqrt(2) times the net's)

Every claim holds.
)");
  AuditReport without_weights = example();
  without_weights.layers.erase(without_weights.layers.begin());
  CHECK(to_text(without_weights).find("residual: ") == std::string::npos);
  AuditReport broken = example();
  broken.violations = {"conv1: expected 1, got 2"};
  CHECK(to_text(broken).ends_with("\nBroken claims:\n  conv1: expected 1, got 2\n"));
}

TEST_CASE("audit_text: the JSON object has the documented keys") {
  const auto json = nlohmann::json::parse(to_json(example()));
  CHECK(json["model"] == "tiny");
  CHECK(json["input"] == std::vector<int>{4, 4, 1});
  CHECK(json["bound"] == 1.0000000012);
  CHECK(json["bound_rule"] == "product over the chain, rounded outwards");
  CHECK(json["proof"]["parts"][0]["name"] == "conv1");
  CHECK(json["head"]["body"] == 1.0000000012);
  CHECK(json["samples"] == 128);
  CHECK(json["active_samples"] == 100);
  CHECK(json["loss"] == 0.5);
  CHECK(json["input_gradient"] == 0.75);
  CHECK(json["input_gradient_quantiles"] == std::vector<double>{0.5, 0.7, 0.9});
  CHECK(json["input_units"] == 1);
  CHECK(json["jacobian"]["sigma_max"] == 0.75);
  CHECK(json["jacobian"]["method"] == "SVD of the whole Jacobian");
  CHECK(json["violations"].empty());
  const auto& conv = json["layers"][0];
  CHECK(conv["name"] == "conv1");
  CHECK(conv["kind"] == "BcopConv2d");
  CHECK(conv["description"] == "BcopConv2d 1 -> 4");
  CHECK(conv["output"] == std::vector<int>{4, 4, 4});
  CHECK(conv["claim"] == "keeps activations");
  CHECK(conv["sigma_min"] == 0.99999998);
  CHECK(conv["sigma_max"] == 1.00000002);
  CHECK(conv["sigma_method"] == "SVD of something");
  CHECK(conv["sigma_histogram"]["counts"].size() == 40);
  CHECK(conv["sigma_histogram"]["lower"] == 0.99999998);
  CHECK(conv["sigma_histogram"]["upper"] == 1.00000002);
  CHECK(conv["residual"] == 3e-8);
  CHECK(conv["residual_reason"] == "largest |sigma - 1|");
  CHECK(conv["bound"] == 1.0000000012);
  CHECK(conv["bound_rule"] == "limits of the symbol");
  CHECK(conv["proved_min"] == 0.9999999988);
  CHECK(conv["bound_product"] == 1.0000000012);
  CHECK(conv["share"] == 1);
  CHECK(conv["gradient"] == 1);
  CHECK(conv["gain_min"] == 0.5);
  CHECK(conv["gain_max"] == 0.75);
  const auto& act = json["layers"][1];
  CHECK(act["sigma_min"].is_null());
  CHECK(act["sigma_histogram"].is_null());
  CHECK(act["gain_min"].is_null());
}

TEST_CASE("audit_text: the report page gets layers, gradients by depth, and the proof") {
  ReportData data;
  data.layers.resize(3);  // of an earlier audit
  add_audit(data, example());
  CHECK(data.bound == 1.0000000012);
  CHECK(data.proof.starts_with("Proved bound of the net in l2: 1.000000002"));
  REQUIRE(data.layers.size() == 2);
  CHECK(data.layers[0].kind == "BcopConv2d 1 -> 4");
  CHECK(data.layers[0].shape == "[4, 4, 4]");
  CHECK(data.layers[0].claim == "keeps activations");
  CHECK(data.layers[0].sigma_min == 0.99999998);
  CHECK(data.layers[0].sigma_max == 1.00000002);
  CHECK(data.layers[0].residual == 3e-8);
  CHECK(data.layers[0].share == 100);
  CHECK(data.layers[0].sigmas.size() == 3);
  CHECK_FALSE(data.layers[1].sigma_min.has_value());
  CHECK_FALSE(data.layers[1].residual.has_value());
  REQUIRE(data.gradients.size() == 3);
  CHECK(data.gradients[0].layer == "conv1");
  CHECK(data.gradients[0].norm == 0.75);
  CHECK(data.gradients[1].layer == "act1");
  CHECK(data.gradients[1].norm == 1);
  CHECK(data.gradients[2].layer == "logits");

  AuditReport flat = example();
  flat.active = 0;
  add_audit(data, flat);
  CHECK(data.gradients.empty());
}

TEST_SUITE_END();
