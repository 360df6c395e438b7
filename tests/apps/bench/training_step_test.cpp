#include <doctest/doctest.h>
#include <string>

#include <isotape/apps/bench/training_step.hpp>
#include <isotape/apps/resolve.hpp>
#include <isotape/core/threads.hpp>

using namespace isotape;

namespace {

RunConfig config(const std::string& model, const std::string& update = "reparametrize",
                 std::int64_t batch = 4, const std::string& dataset = "mnist") {
  TrainOptions options;
  options.model = model;
  options.dataset = dataset;
  options.batch = batch;
  options.orthogonal_update = update;
  return resolve(options);
}

StepSample steady(const RunConfig& config) {
  TrainingStep step(config);
  for (int i = 0; i < 6; ++i) step.run();
  return step.run();
}

}  // namespace

TEST_SUITE_BEGIN("apps/bench/training_step");

TEST_CASE("training step: convolutions and dense layers count as by hand") {
  constexpr double n = 4;
  const StepSample sample = steady(config("plain-small"));
  // Kernel 4, stride 2: 28x28x1 -> 14x14x16 -> 7x7x32; then 1568 -> 100 -> 10.
  const double conv1 = 2 * n * 14 * 14 * 16 * (4 * 4 * 1);
  const double conv2 = 2 * n * 7 * 7 * 32 * (4 * 4 * 16);
  const double dense = 2 * n * (1568 * 100 + 100 * 10);
  CHECK(sample.weights.flops.total() == 0);
  CHECK(sample.forward.flops.convolution == conv1 + conv2);
  CHECK(sample.forward.flops.f32 == dense);
  // The gradients of all weights, and of all inputs but the image.
  CHECK(sample.backward.flops.convolution == conv1 + 2 * conv2);
  CHECK(sample.backward.flops.f32 == 2 * dense);
  CHECK(sample.weights_backward.flops.total() == 0);
  CHECK(sample.optimizer.flops.total() == 0);
  CHECK(sample.whole.flops.total() == 2 * conv1 + 3 * conv2 + 3 * dense);
}

TEST_CASE(
    "training step: what orthogonality costs is counted with the weights and their gradients") {
  const StepSample sample = steady(config("bcop-small"));
  CHECK(sample.weights.flops.total() > 0);
  CHECK(sample.weights_backward.flops.total() > 0);
  CHECK(sample.weights.flops.convolution == 0);
  CHECK(sample.weights_backward.flops.convolution == 0);
  CHECK(sample.backward.flops.total() > sample.weights_backward.flops.total());
  const StepSample retracted = steady(config("bcop-small", "retract"));
  CHECK(retracted.optimizer.flops.total() > 0);
}

TEST_CASE("training step: parts take time and add up") {
  const StepSample sample = steady(config("fc-3", "reparametrize", 2, "rings"));
  for (const StepPart* part : {&sample.weights, &sample.forward, &sample.backward,
                               &sample.weights_backward, &sample.optimizer}) {
    CHECK(part->time.cpu_ms > 0);
    CHECK(part->time.wall_ms > 0);
  }
  CHECK(sample.weights_backward.time.cpu_ms <= sample.backward.time.cpu_ms);
  CHECK(sample.whole.time.wall_ms ==
        doctest::Approx(sample.weights.time.wall_ms + sample.forward.time.wall_ms +
                        sample.backward.time.wall_ms + sample.optimizer.time.wall_ms));
}

TEST_CASE("training step: a steady one asks the system for no tensor and creates no primitive") {
  // One thread: which jobs of several threads meet, and with them how much memory they hold at
  // once, differs from step to step.
  const int threads = num_threads();
  set_num_threads(1);
  for (const std::string update : {"reparametrize", "retract"}) {
    CAPTURE(update);
    const StepSample sample = steady(config("bcop-small", update));
    CHECK(sample.counts.tensor_allocations == 0);
    CHECK(sample.counts.tensor_requests > 0);
    CHECK(sample.counts.primitives_created == 0);
    CHECK(sample.counts.weights_made == 4);  // of two convolutions and two dense layers
    CHECK(sample.counts.reorders <= 5);      // the weights of each pass of a convolution, once
  }
  set_num_threads(threads);
}

TEST_CASE("training step: raw matrices start as multiples of orthogonal ones, and leave them") {
  TrainingStep step(config("bcop-small"));
  CHECK(step.largest_kappa() == doctest::Approx(1).epsilon(1e-4));
  for (int i = 0; i < 3; ++i) step.run();
  CHECK(step.largest_kappa() > 1.001);
  CHECK(step.retractions().matrices == 0);
  TrainingStep retracted(config("bcop-small", "retract"));
  retracted.run();
  CHECK(retracted.largest_kappa() == 1);
  CHECK(retracted.retractions().matrices == 8);  // 2 x 3 of the convolutions, 2 dense
}

TEST_SUITE_END();
