// What must hold of a network after real training steps, for both ways of training.

#include <doctest/doctest.h>
#include <cmath>
#include <string>

#include <isotape/apps/resolve.hpp>
#include <isotape/apps/training.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/memory.hpp>
#include <isotape/core/random.hpp>
#include <isotape/datasets/registry.hpp>
#include <isotape/layers/bcop.hpp>
#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/spectrum.hpp>
#include <isotape/layers/weight.hpp>
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

void check_within(const std::vector<double>& sigma, double tolerance) {
  CHECK(std::abs(sigma.front() - 1) <= tolerance);
  CHECK(std::abs(sigma.back() - 1) <= tolerance);
}

// By the FFT of the kernel at the layer's image size, and by the dense operator on small images.
void check_kernel(const Tensor& kernel, std::int64_t side, double tolerance) {
  check_within(kernel_singular_values(kernel, side, side), tolerance);
  const Conv2d plain(kernel.to(DType::f64), {}, {});
  const auto f = [&](const Var& x) { return plain.forward(x); };
  for (const auto& [height, width] : {std::pair{6, 6}, std::pair{5, 7}}) {
    const Shape input{1, height, width, kernel.dim(3)};
    check_within(singular_values(dense_operator(f, input, DType::f64)), tolerance);
  }
}

}  // namespace

TEST_CASE("trained: singular values of training-time and of folded weights") {
  for (const char* update : {"reparametrize", "retract"}) {
    CAPTURE(update);
    Training training = trained(update, 40);
    Sequential& net = training.model().net;
    std::int64_t side = 28;
    int checked = 0;
    for (const auto& part : net.parts()) {
      CAPTURE(part.name);
      if (const auto* conv = dynamic_cast<const BcopConv2d*>(part.module.get())) {
        side /= conv->stride();
        check_kernel(conv->folded_kernel(), side, 3e-7);
        Tape tape;
        net.prepare();
        check_kernel(conv->kernel().value(), side, 3e-6);
        ++checked;
      } else if (const auto* dense = dynamic_cast<const Linear*>(part.module.get())) {
        check_within(singular_values(dense->weight().folded()), 3e-7);
        Tape tape;
        net.prepare();
        check_within(singular_values(net.weights()[checked].weight->var().value()), 3e-6);
        ++checked;
      }
    }
    CHECK(checked == 4);
    CHECK(net.lipschitz_bound().value < 1.00001);
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
