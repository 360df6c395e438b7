#include <doctest/doctest.h>
#include <cmath>
#include <limits>
#include <support/fake_layer.hpp>

#include <isotape/apps/audit_model.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/loss.hpp>

using namespace isotape;

namespace {

OptionValue number(std::int64_t value) { return value; }
OptionValue word(const char* value) { return std::string(value); }

// Every kind of layer: orthogonal, zero-padded, reshaped-orthogonal, free, and without weights.
Model mixed_model() {
  const ModelSpec spec{
      "mixed",
      {{"conv1", "bcop", {{"out", number(4)}, {"kernel", number(4)}, {"stride", number(2)}}},
       {"act1", "maxmin", {}},
       {"conv2", "conv", {{"out", number(6)}, {"constraint", word("bjorck")}}},
       {"conv3", "conv", {{"out", number(6)}, {"padding", word("zero")}}},
       {"act2", "relu", {}},
       {"flatten", "flatten", {}},
       {"fc1", "linear", {{"out", number(8)}, {"constraint", word("cayley")}}},
       {"fc2", "linear", {{"out", word("classes")}, {"constraint", word("unconstrained")}}}}};
  return build_model(spec, {6, 8, 1}, 3, Rng(4));
}

const std::vector<std::int32_t> labels{0, 2, 1, 1};

AuditReport audit(Model& model, std::uint64_t seed = 7) {
  Rng rng(seed);
  std::vector<std::int64_t> shape{4};
  shape.insert(shape.end(), model.input.begin(), model.input.end());
  return audit_model(model, random_uniform(rng, Shape(shape), 0, 1), labels, softmax_cross_entropy);
}

Model fake_model(const Claims& claims) {
  Model model{{"fake", {}}, {2}, 2, {}};
  model.net.add("before", FakeLayer(Claims{})).add("broken", FakeLayer(claims));
  return model;
}

std::vector<std::string> violations(const Claims& claims) {
  Model model = fake_model(claims);
  const std::vector<std::int32_t> two{0, 1};
  return audit_model(model, Tensor::of({1, 2, 3, 4}, {2, 2}), two, softmax_cross_entropy)
      .violations;
}

}  // namespace

TEST_SUITE_BEGIN("apps/audit_model");

TEST_CASE("audit_model: the measured singular values are those of each layer's dense matrix") {
  Model model = mixed_model();
  const AuditReport report = audit(model);
  CHECK(report.violations.empty());
  REQUIRE(report.layers.size() == model.net.parts().size());
  Shape shape = model.input;
  for (std::size_t l = 0; l < report.layers.size(); ++l) {
    const LayerAudit& layer = report.layers[l];
    const Module& module = *model.net.parts()[l].module;
    CAPTURE(layer.name);
    std::vector<std::int64_t> one{1};
    one.insert(one.end(), shape.begin(), shape.end());
    shape = module.output_shape(shape);
    CHECK(layer.output == shape);
    CHECK(layer.name == model.net.parts()[l].name);
    CHECK(layer.description == module.describe());
    CHECK(layer.spectrum.sigma.empty() == (layer.name[0] == 'a' || layer.name == "flatten"));
    if (layer.spectrum.sigma.empty()) continue;
    const auto plain = module.materialize(DType::f64);
    const auto sigma = singular_values(
        dense_operator([&](const Var& x) { return plain->forward(x); }, Shape(one), DType::f64));
    REQUIRE(layer.spectrum.sigma.size() == sigma.size());
    CHECK(std::abs(layer.spectrum.sigma.front() - sigma.front()) <= 1e-12 * sigma.front());
    CHECK(std::abs(layer.spectrum.sigma.back() - sigma.back()) <= 1e-12 * sigma.front());
    CHECK(sigma.front() <= layer.bound.value);
  }
}

TEST_CASE("audit_model: claims are said in words") {
  Model model = mixed_model();
  std::string claims;
  for (const LayerAudit& layer : audit(model).layers) {
    claims += layer.name + " " + layer.claim + "; ";
  }
  CHECK(claims ==
        "conv1 isometry; act1 isometry; conv2 1-Lipschitz; conv3 none; act2 1-Lipschitz; flatten "
        "isometry; fc1 keeps gradients; fc2 1-Lipschitz; ");
}

TEST_CASE("audit_model: the proof ends at the net's bound, and shares add up to the whole") {
  Model model = mixed_model();
  const AuditReport report = audit(model);
  CHECK(report.bound.value == model.net.lipschitz_bound().value);
  CHECK(report.layers.back().product == report.bound.value);
  double sum = 0;
  double product = 1;
  for (const LayerAudit& layer : report.layers) {
    product *= layer.bound.value;
    CHECK(layer.product >= product);
    CHECK(layer.product <= product * (1 + 1e-14));
    CHECK((layer.share > 0) == (layer.bound.value > 1));
    sum += layer.share;
  }
  CHECK(std::abs(sum - 1) < 1e-12);

  Model plain = fake_model({});
  for (const LayerAudit& layer :
       audit_model(plain, Tensor::zeros({1, 2}), {{0}}, softmax_cross_entropy).layers) {
    CHECK(layer.share == 0);
  }
}

TEST_CASE("audit_model: shares near 1 are those of the excesses") {
  Model model{{"fake", {}}, {2}, 2, {}};
  model.net.add("a", FakeLayer({.bound = 1 + 1e-7})).add("b", FakeLayer({.bound = 1 + 3e-7}));
  const AuditReport report =
      audit_model(model, Tensor::zeros({1, 2}), {{0}}, softmax_cross_entropy);
  CHECK(std::abs(report.layers[0].share - 0.25) < 1e-6);
  CHECK(std::abs(report.layers[1].share - 0.75) < 1e-6);
}

TEST_CASE("audit_model: every broken claim is found, and names its layer") {
  using enum NormPreservation;
  using List = std::vector<std::string>;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(violations({}).empty());
  CHECK(violations({.bound = 1.5, .gnp = none, .spectrum = {{1.6, 0.1}, ""}}) ==
        List{"broken: expected singular values of at most the proved bound 1.5, measured 1.6"});
  CHECK(violations({.bound = 2, .least = 0.5, .gnp = none, .spectrum = {{1.6, 0.1}, ""}}) ==
        List{"broken: expected singular values of at least the proved limit 0.5, measured 0.1"});
  CHECK(violations({.spectrum = {{1, 0.99}, ""}}) ==
        List{"broken (isometry): expected singular values within 1e-06 of 1, measured 0.99 to 1"});
  CHECK(violations({.bound = 2, .gnp = forward, .spectrum = {{1.1, 1}, ""}}) ==
        List{"broken (keeps activations): expected singular values within 1e-06 of 1, measured 1 "
             "to 1.1"});
  CHECK(violations({.residual = 0.25}) ==
        List{"broken: expected a residual of at most 1e-06, got 0.25, as told"});
  CHECK(violations({.factor = 2, .gnp = none, .spectrum = {}}) ==
        List{"broken: expected gradients multiplied by at most the bound 1, measured a factor of "
             "2"});
  CHECK(violations({.factor = 0.5, .gnp = backward, .spectrum = {}}) ==
        List{"broken (keeps gradients): expected gradients of unchanged norm, measured a factor "
             "of 0.5 to 0.5"});
  CHECK(violations({.bound = nan, .gnp = none, .spectrum = {}}).front() ==
        "broken: expected a finite bound, got nan");
  CHECK(violations({.spectrum = {{nan, nan}, ""}}).size() == 2);
  CHECK(violations({.residual = nan}).size() == 1);
}

TEST_CASE("audit_model: what rounding to f32 does breaks no claim") {
  CHECK(violations({.bound = 1 + 1e-7, .spectrum = {{1 + 1e-7, 1 - 1e-7}, ""}, .residual = 2e-7})
            .empty());
  CHECK(violations({.spectrum = {{1 + 1e-15, 1}, ""}}).empty());
}

TEST_CASE("audit_model: a loss without gradient breaks no claim either") {
  Model model =
      fake_model({.factor = 2, .bound = 2, .gnp = NormPreservation::none, .spectrum = {}});
  const auto flat = [](const Var& logits, std::span<const std::int32_t> y) {
    return multi_margin(logits, y, 0);
  };
  const AuditReport report = audit_model(model, Tensor::of({2, 1}, {1, 2}), {{0}}, flat);
  CHECK(report.active == 0);
  CHECK(std::isnan(report.input_gradient));
  CHECK(std::isnan(report.layers[1].gain_max));
  CHECK(report.violations.empty());
}

TEST_CASE("require_claims: throws the first violation, and counts the others") {
  AuditReport report;
  CHECK_NOTHROW(require_claims(report));
  report.violations = {"fc1: expected 1, got 2"};
  CHECK_THROWS_WITH_AS(require_claims(report), "audit: fc1: expected 1, got 2", CheckError);
  report.violations.emplace_back("fc2: expected 1, got 3");
  CHECK_THROWS_WITH_AS(require_claims(report), "audit: fc1: expected 1, got 2; 1 more", CheckError);
}

TEST_SUITE_END();
