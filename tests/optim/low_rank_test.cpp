#include <doctest/doctest.h>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/low_rank.hpp>
#include <isotape/ops/reduce.hpp>
#include <isotape/optim/low_rank.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("optim/low_rank");

namespace {

Sequential net() {
  Rng rng(1);
  Sequential chain;
  chain.add("fc1", Linear(5, 8, Unconstrained{}, rng))
      .add("act1", Abs())
      .add("fc2", Linear(8, 3, Unconstrained{}, rng));
  return chain;
}

Tensor inputs() {
  Rng rng(2);
  return random_normal(rng, {50, 5});
}

LowRank low_rank(const char* text, const Sequential& chain) { return {text, chain, {5}, Rng(3)}; }

// One step of the virtual layers and of the net, by hand.
double train(LowRank& virtual_layers, Sequential& chain, std::int64_t step, double rate) {
  Tape tape;
  const Watch watch(virtual_layers.modules());
  chain.forward(inputs());
  const Var loss = virtual_layers.loss(watch);
  tape.backward(loss);
  for (const auto& [name, parameter] : chain.parameters()) {
    if (!parameter->grad) continue;
    add_in_place(parameter->write(), parameter->grad, -rate);
    parameter->grad = {};
  }
  virtual_layers.step(step, 1);
  return loss.value().item();
}

}  // namespace

TEST_CASE("low rank: starts as the identity of rank r without a shift") {
  const Sequential chain = net();
  const LowRank layers = low_rank("act1:rank=3", chain);
  REQUIRE(layers.parameters().size() == 2);
  CHECK(layers.parameters()[0].name == "act1.w");
  CHECK(layers.parameters()[1].name == "act1.b");
  const Tensor& w = layers.parameters()[0].parameter->value();
  CHECK(w.shape() == Shape{8, 8});
  for (int i = 0; i < 64; ++i) CHECK(w.at(i) == (i % 9 == 0 && i < 27 ? 1 : 0));
  CHECK(max_abs(layers.parameters()[1].parameter->value()) == 0);
}

TEST_CASE("low rank: the loss is the weighted sum over the layers") {
  const Sequential chain = net();
  LowRank layers = low_rank("act1:rank=3,projection=2,norm=0.5+fc2:rank=1", chain);
  const Watch watch(layers.modules());
  chain.forward(inputs());
  const Var a = watch.seen(layers.modules()[0]);
  const Var f = watch.seen(layers.modules()[1]);
  const auto w = [&](int i) { return layers.parameters()[i].parameter->value(); };
  const double expected =
      2 * projection_loss(a, w(0), w(1)).value().item() + 0.5 * norm_loss(a).value().item() +
      projection_loss(f, w(2), w(3)).value().item() + norm_loss(f).value().item();
  CHECK(layers.loss(watch).value().item() == doctest::Approx(expected).epsilon(1e-6));
}

TEST_CASE("low rank: its gradient stops at the layer") {
  Sequential chain = net();
  LowRank layers = low_rank("act1:rank=3", chain);
  Tape tape;
  const Watch watch(layers.modules());
  chain.forward(inputs());
  tape.backward(layers.loss(watch));
  for (const auto& [name, parameter] : chain.parameters()) {
    CHECK(bool(parameter->grad) == (name.substr(0, 3) == "fc1"));
  }
}

TEST_CASE("low rank: w has its rank after every projection, in both ways") {
  for (const char* text : {"act1:rank=3,every=5", "act1:rank=3,every=5,method=nystrom,columns=6"}) {
    CAPTURE(text);
    Sequential chain = net();
    LowRank layers = low_rank(text, chain);
    for (std::int64_t step = 1; step <= 10; ++step) {
      train(layers, chain, step, 0.01);
      const Tensor w = layers.parameters()[0].parameter->value().to(DType::f64);
      const double fourth = singular_values(w)[3];
      if (step % 5 == 0) {
        CHECK(fourth <= 1e-6);
      } else {
        CHECK(fourth > 1e-5);
      }
    }
  }
}

TEST_CASE("low rank: activations lose the dimensions that are asked of them") {
  Sequential chain = net();
  LowRank layers = low_rank("act1:rank=2", chain);
  const double before = layers.variance_ratios(chain, inputs())[0].value;
  double first = 0;
  double last = 0;
  for (std::int64_t step = 1; step <= 300; ++step) {
    last = train(layers, chain, step, 0.05);
    if (step == 1) first = last;
  }
  const auto after = layers.variance_ratios(chain, inputs());
  CHECK(last < 0.3 * first);
  CHECK(after[0].layer == "act1");
  CHECK(after[0].rank == 2);
  CHECK(after[0].value > before);
  CHECK(after[0].value > 0.97);
  CHECK(after[0].value <= 1);
}

TEST_CASE("low rank: the net's output does not pass through it") {
  Sequential chain = net();
  const Tensor y = chain.forward(inputs()).value();
  LowRank layers = low_rank("act1:rank=1", chain);
  const Watch watch(layers.modules());
  CHECK(max_abs_diff(chain.forward(inputs()).value(), y) == 0);
  CHECK(chain.parameters().size() == 4);
}

TEST_CASE("low rank: refuses what there is not, and what is out of range") {
  const Sequential chain = net();
  const auto refuses = [&](const char* text, const char* words) {
    CHECK_THROWS_WITH_AS(low_rank(text, chain), words, ValueError);
  };
  refuses("act2:rank=1", "low-rank: expected a layer among fc1, act1, fc2, got 'act2'");
  refuses("act1", "low-rank: act1: expected a rank, as in act1:rank=10, got none");
  refuses("act1:rank=9", "low-rank: act1: expected rank in 1..8, got 9");
  refuses("act1:rank=2,columns=1", "low-rank: act1: expected columns in 2..8, got 1");
  refuses("act1:rank=2,norm=-1", "low-rank: act1: expected norm >= 0, got -1");
  refuses("act1:rank=2,method=qr", "act1: expected method among svd, nystrom, got 'qr'");
  refuses("act1:rank=2,ranks=3",
          "act1: expected an option among rank, projection, norm, lr, every, method, columns, "
          "replicas, got ranks");
  refuses("act1:rank=2+act1:rank=3", "low-rank: expected each layer once, got act1 twice");
  LowRank layers = low_rank("act1:rank=2", chain);
  CHECK_THROWS_WITH_AS(layers.loss(Watch(layers.modules())),
                       "low-rank: expected activations of act1, got none: the forward pass does "
                       "not reach it by itself",
                       ValueError);
}

TEST_SUITE_END();
