// What must hold of a network after real training steps, for both ways of training.

#include <doctest/doctest.h>
#include <support/scoped_threads.hpp>
#include <support/trained_sigma.hpp>

#include <isotape/apps/resolve.hpp>
#include <isotape/apps/training.hpp>
#include <isotape/core/memory.hpp>
#include <isotape/core/random.hpp>
#include <isotape/datasets/registry.hpp>
#include <isotape/ops/conv2d.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/trained");

namespace {

Training trained(const char* update, int steps) {
  TrainOptions options;
  options.model = "bcop-small";
  options.dataset = "glyphs";
  options.orthogonal_update = update;
  options.lr = 5e-3;  // far from where it started after few steps
  options.threads = 1;
  const RunConfig config = resolve(options);
  Training training(config, named_model("bcop-small"), load_dataset("glyphs"));
  for (int i = 0; i < steps; ++i) training.step();
  return training;
}

}  // namespace

TEST_CASE("trained: singular values of training-time and of folded weights") {
  for (const char* update : {"reparametrize", "retract"}) {
    CAPTURE(update);
    Training training = trained(update, 40);
    check_every_sigma(training.model(), 4);
  }
}

TEST_CASE("trained: no pair of inputs is driven further apart than the bound allows") {
  Training training = trained("reparametrize", 20);
  const Sequential& net = training.model().net;
  const double bound = net.lipschitz_bound().value;
  Rng rng(3);
  const Tensor x = training.data().test.pixels(0, 64);
  for (const double size : {1e-2, 1.0, 30.0}) {
    Tensor moved = x.clone();
    add_in_place(moved, random_normal(rng, x.shape()), size);
    const Tensor y = net.forward(x).value();
    const Tensor z = net.forward(moved).value();
    for (std::int64_t i = 0; i < x.dim(0); ++i) {
      Tensor dx = moved.rows(i, i + 1).clone();
      add_in_place(dx, x.rows(i, i + 1), -1);
      Tensor dy = z.rows(i, i + 1).clone();
      add_in_place(dy, y.rows(i, i + 1), -1);
      CHECK(frobenius_norm(dy) <= bound * frobenius_norm(dx) * (1 + 1e-5) + 1e-6);
    }
  }
}

TEST_CASE("trained: a step in the steady state asks the system for no memory") {
  const ScopedThreads one(1);
  for (const char* update : {"reparametrize", "retract"}) {
    CAPTURE(update);
    Training training = trained(update, 4);
    const std::int64_t allocations = memory_stats().system_allocations;
    const std::int64_t primitives = conv2d_counters().primitives_created;
    for (int i = 0; i < 6; ++i) training.step();
    CHECK(memory_stats().system_allocations == allocations);
    CHECK(conv2d_counters().primitives_created == primitives);
  }
}

TEST_SUITE_END();
