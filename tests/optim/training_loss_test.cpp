#include <doctest/doctest.h>
#include <cmath>
#include <numbers>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/ops/cross_entropy.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/emma.hpp>
#include <isotape/ops/hkr.hpp>
#include <isotape/ops/kl_divergence.hpp>
#include <isotape/ops/loss.hpp>
#include <isotape/optim/settings.hpp>
#include <isotape/optim/training_loss.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("optim/training_loss");

namespace {

constexpr double margin = 0.4 * std::numbers::sqrt2;
const std::vector<std::int32_t> labels{0, 2, 1, 1, 0};

Sequential net(const Parametrization& constraint = Bjorck{}) {
  Rng rng(1);
  Sequential chain;
  chain.add("fc1", Linear(6, 8, constraint, rng))
      .add("act", MaxMin())
      .add("fc2", Linear(8, 3, constraint, rng));
  return chain;
}

Tensor inputs() {
  Rng rng(2);
  return random_normal(rng, {5, 6});
}

double value(const char* text) {
  return TrainingLoss(text, margin)(net(), inputs(), labels, Rng(3)).loss.value().item();
}

double of(const Var& loss) { return loss.value().item(); }

}  // namespace

TEST_CASE("training loss: names and options give the losses of ops/") {
  const Tensor f = net().forward(inputs()).value();
  CHECK(value("multi-margin") == of(multi_margin(f, labels, margin)));
  CHECK(value("cross-entropy") == of(softmax_cross_entropy(f, labels)));
  CHECK(value("cross-entropy:temperature=0.25,offset=1") ==
        of(tempered_cross_entropy(f, labels, {.temperature = 0.25, .offset = 1})));
  CHECK(value("logit-annealing:beta=2") == of(logit_annealing(f, labels, {.beta = 2})));
  CHECK(value("certificate-regularized:gamma=0.3") == of(certificate_regularized(f, labels, 0.3)));
  CHECK(value("kr") == of(kantorovich_rubinstein(f, labels)));
  CHECK(value("hkr:lambda=3") ==
        of(hkr(f, labels, {.lambda = 3, .margin = margin / std::numbers::sqrt2})));
  CHECK(value("soft-hkr:margin=1,temperature=2") ==
        of(soft_hkr(f, labels, {.lambda = 10, .margin = 1, .temperature = 2})));
}

TEST_CASE("training loss: of logits alone is all of it where it is a function of them") {
  const Tensor f = net().forward(inputs()).value();
  for (const LossInfo& info : loss_infos()) {
    const TrainingLoss loss(info.name, margin);
    const bool is_all = info.name != "emma" && info.name != "trades";
    const double whole = of(loss(net(), inputs(), labels, Rng(3)).loss);
    CHECK((of(loss.of_logits(f, labels)) == whole) == is_all);
    if (!is_all) CHECK(of(loss.of_logits(f, labels)) == of(softmax_cross_entropy(f, labels)));
  }
}

TEST_CASE("training loss: emma raises logits by the distances of the last layer's rows") {
  Sequential chain = net();
  const Tensor f = chain.forward(inputs()).value();
  const Tensor w = chain.folded_weights()[1].tensor;
  const Tensor d = class_distances(w).value();
  const Tensor slack = emma_slack(f, d, labels, 0.7);
  CHECK(value("emma:eps=0.7") ==
        of(softmax_cross_entropy(emma_logits(f, d, labels, slack), labels)));
  CHECK(value("emma:eps=0.7") > value("cross-entropy"));
}

TEST_CASE("training loss: emma's gradient reaches the last layer through its distances too") {
  Sequential chain = net(Unconstrained{});
  const auto gradient = [&](const char* text) {
    for (const auto& [name, parameter] : chain.parameters()) parameter->grad = {};
    Tape tape;
    tape.backward(TrainingLoss(text, margin)(chain, inputs(), labels, Rng(3)).loss);
    return chain.parameters()[2].parameter->grad;
  };
  // The bias gets the gradient of the logits; w that of the logits and of the distances.
  Tape tape;
  const Var w = tape.leaf(chain.folded_weights()[1].tensor);
  const Tensor h =
      chain.parts()[1].module->forward(chain.parts()[0].module->forward(inputs())).value();
  const Var f = chain.parts()[2].module->forward(h);
  const Var d = class_distances(w);
  const Tensor slack = emma_slack(f.value(), d.value(), labels, 0.7);
  tape.backward(softmax_cross_entropy(emma_logits(f.value(), d, labels, slack), labels));
  const Tensor of_distances = w.grad();
  CHECK(max_abs(of_distances) > 1e-3);
  Tensor rest = gradient("emma:eps=0.7").clone();
  add_in_place(rest, of_distances, -1);
  Tape logits_only;
  const Var g = chain.parts()[2].module->forward(h);
  for (const auto& [name, parameter] : chain.parameters()) parameter->grad = {};
  logits_only.backward(softmax_cross_entropy(emma_logits(g, d.value(), labels, slack), labels));
  CHECK(max_abs_diff(rest, chain.parameters()[2].parameter->grad) <= 1e-6);
}

TEST_CASE("training loss: trades adds beta times the divergence at the inputs that ascent finds") {
  Sequential chain = net();
  const Tensor f = chain.forward(inputs()).value();
  Rng rng(3);
  const auto divergence = [&](const Var& x) { return kl_divergence(f, chain.forward(x)); };
  const Tensor attacked =
      ascend_inputs(inputs(), divergence, {.eps = 0.3, .steps = 4, .step = 0.1}, rng);
  const double expected =
      of(softmax_cross_entropy(f, labels)) + 2 * of(kl_divergence(f, chain.forward(attacked)));
  CHECK(value("trades:beta=2,eps=0.3,steps=4,step=0.1") == doctest::Approx(expected).epsilon(1e-6));
  CHECK(value("trades:beta=0") == of(softmax_cross_entropy(f, labels)));
}

TEST_CASE("training loss: trades in linf goes along signs, each entry within eps") {
  Sequential chain = net();
  const Tensor f = chain.forward(inputs()).value();
  Rng rng(3);
  const auto divergence = [&](const Var& x) { return kl_divergence(f, chain.forward(x)); };
  const AscentOptions ascent{.eps = 0.1, .steps = 4, .step = 0.03, .norm = BallNorm::linf};
  const Tensor attacked = ascend_inputs(inputs(), divergence, ascent, rng);
  CHECK(max_abs_diff(attacked, inputs()) <= 0.1 * (1 + 1e-6));
  // All entries are moved, nearly all of them as far as eps: no l2 ball of that radius holds it.
  CHECK(frobenius_norm(sub(attacked, inputs()).value()) > 0.1 * std::sqrt(30.0) * 0.8);
  const double expected =
      of(softmax_cross_entropy(f, labels)) + 2 * of(kl_divergence(f, chain.forward(attacked)));
  CHECK(value("trades:beta=2,eps=0.1,steps=4,step=0.03,norm=linf") ==
        doctest::Approx(expected).epsilon(1e-6));
  CHECK(TrainingLoss("trades:norm=linf,eps=0.1", 1).description() ==
        "trades, beta 6, norm linf, eps 0.1, steps 10, step 0.025");
}

TEST_CASE("training loss: emma's radius grows linearly over the ramp, and then stays") {
  const auto at = [](const char* text, double progress) {
    return of(TrainingLoss(text, margin)(net(), inputs(), labels, Rng(3), progress).loss);
  };
  CHECK(at("emma:eps=0.4,ramp=0.5", 0.25) == at("emma:eps=0.2", 1));
  CHECK(at("emma:eps=0.4,ramp=0.5", 0.5) == at("emma:eps=0.4", 1));
  CHECK(at("emma:eps=0.4,ramp=0.5", 0.9) == at("emma:eps=0.4", 1));
  CHECK(at("emma:eps=0.4", 0.1) == at("emma:eps=0.4", 1));
  CHECK(TrainingLoss("emma:eps=0.4,ramp=0.5", 1).description() == "emma, eps 0.4, ramp 0.5");
  CHECK_THROWS_WITH_AS(TrainingLoss("emma:ramp=2", 1), "emma: expected ramp in 0..1, got 2",
                       ValueError);
  CHECK_THROWS_WITH_AS(at("emma", 0), "training loss: expected a progress in (0, 1], got 0",
                       ValueError);
}

TEST_CASE("training loss: a relative temperature of soft-hkr is in units of the mean |f|") {
  // One row (1, 3, -2), label 0: mean |f| = 2, T = 1, p_1 / p_2 = e^5; no hinge at lambda 0.
  const Tensor f = Tensor::of({1.0, 3.0, -2.0}, {1, 3});
  const TrainingLoss relative("soft-hkr:relative=1,temperature=0.5,lambda=0", 1);
  const double p = 1 / (1 + std::exp(-5.0));
  CHECK(of(relative.of_logits(f, std::vector<std::int32_t>{0})) ==
        doctest::Approx(-1 + 3 * p - 2 * (1 - p)).epsilon(1e-6));
  // The weights do not change with the size of the scores.
  const Tensor g = scale(f, 10).value();
  CHECK(of(relative.of_logits(g, std::vector<std::int32_t>{0})) ==
        doctest::Approx(10 * (-1 + 3 * p - 2 * (1 - p))).epsilon(1e-6));
  const Tensor none = Tensor::zeros({1, 3});
  CHECK(of(relative.of_logits(none, std::vector<std::int32_t>{0})) == 0);
  CHECK(relative.description() == "soft-hkr, relative, lambda 0, margin " +
                                      spelled(1 / std::numbers::sqrt2) + ", temperature 0.5");
}

TEST_CASE("training loss: in a recording every loss has a gradient for every parameter") {
  for (const LossInfo& info : loss_infos()) {
    CAPTURE(info.name);
    Sequential chain = net();
    Tape tape;
    chain.prepare();
    const auto [loss, logits] = TrainingLoss(info.name, margin)(chain, inputs(), labels, Rng(3));
    CHECK(logits.shape() == Shape{5, 3});
    tape.backward(loss);
    for (const auto& [name, parameter] : chain.parameters()) {
      REQUIRE(bool(parameter->grad));
      CHECK(max_abs(parameter->grad) > 0);
    }
  }
}

TEST_CASE("training loss: describes itself with what was not given") {
  CHECK(TrainingLoss("multi-margin", 0.5).description() == "multi-margin, margin 0.5");
  CHECK(TrainingLoss("cross-entropy", 0.5).description() ==
        "cross-entropy, temperature 1, offset 0");
  CHECK(TrainingLoss("hkr:lambda=3,margin=2", 1).description() == "hkr, lambda 3, margin 2");
  CHECK(TrainingLoss("trades:eps=1,steps=5", 1).description() ==
        "trades, beta 6, eps 1, steps 5, step 0.25");
  CHECK(TrainingLoss("kr", 1).description() == "kr");
}

TEST_CASE("training loss: refuses unknown names, options and values, and nets it cannot attack") {
  const auto refuses = [](const char* text, const char* words) {
    CHECK_THROWS_WITH_AS(TrainingLoss(text, 1), words, ValueError);
  };
  refuses("hinge",
          "loss: expected a name among multi-margin, cross-entropy, logit-annealing, "
          "certificate-regularized, kr, hkr, soft-hkr, emma, trades, got 'hinge'");
  refuses("hkr:lamda=1", "hkr: expected an option among lambda, margin, got lamda");
  refuses("kr:lambda=1", "kr: expected no option, got lambda");
  refuses("hkr:lambda=-1", "hkr: expected lambda >= 0, got -1");
  refuses("emma:eps=0", "emma: expected eps > 0, got 0");
  refuses("trades:steps=2.5", "trades: expected an integer in 1..1000 for steps, got 2.5");
  refuses("cross-entropy:temperature=nan", "cross-entropy: expected temperature > 0, got nan");

  const TrainingLoss emma("emma", 1);
  CHECK_NOTHROW(emma.check(net()));
  Sequential headless;
  headless.add("act", MaxMin());
  CHECK_THROWS_WITH_AS(emma.check(headless),
                       "emma: expected a last layer that is linear, got MaxMin, split pairs",
                       ValueError);
  Rng rng(4);
  Linear steep(2, 2, Unconstrained{}, rng);
  steep.parameters()[0].parameter->write() = scale(Tensor::eye(2), 3).value();
  Sequential chain;
  chain.add("fc1", std::move(steep)).add("fc2", Linear(2, 2, Bjorck{}, rng));
  CHECK_THROWS_AS(emma.check(chain), ValueError);
  CHECK_NOTHROW(TrainingLoss("trades", 1).check(chain));
}

TEST_SUITE_END();
