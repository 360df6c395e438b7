#include <doctest/doctest.h>
#include <cmath>
#include <filesystem>
#include <limits>
#include <support/needs_bf16.hpp>

#include <isotape/apps/evaluation.hpp>
#include <isotape/apps/resolve.hpp>
#include <isotape/apps/training.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/flop_count.hpp>
#include <isotape/core/safetensors.hpp>
#include <isotape/datasets/registry.hpp>
#include <isotape/layers/bcop.hpp>
#include <isotape/layers/weight.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/training");

namespace {

RunConfig small_config() {
  TrainOptions options;
  options.dataset = "moons";
  options.epochs = 2;
  options.batch = 200;
  options.threads = 1;
  return resolve(options);
}

ModelSpec small_spec() {
  return {"points",
          {{"flatten", "flatten", {}},
           {"fc1", "linear", {{"out", std::int64_t{8}}}},
           {"act1", "maxmin", {}},
           {"fc2", "linear", {{"out", std::string("classes")}}}}};
}

// Every parameter's bits, one after the other.
Tensor weights(Training& training) {
  return training.model().net.parameters()[0].parameter->value().clone();
}

std::filesystem::path scratch(const char* name) {
  return std::filesystem::temp_directory_path() / (std::string("isotape-training-test-") + name);
}

}  // namespace

TEST_CASE("training: the loss falls and the bound stays at 1") {
  Training training(small_config(), small_spec(), load_dataset("moons"));
  std::vector<double> losses;
  while (!training.is_finished()) {
    if (training.step().epoch_ended) losses.push_back(training.take_epoch_means().loss);
  }
  REQUIRE(losses.size() == 2);
  CHECK(losses[1] < losses[0]);
  CHECK(training.model().net.lipschitz_bound().value < 1.00001);
}

TEST_CASE("training: every loss by name learns, with the bound as promised") {
  for (const LossInfo& info : loss_infos()) {
    CAPTURE(info.name);
    RunConfig config = small_config();
    config.loss = info.name;
    config.epochs = 6;
    config.lr = 1e-2;
    Training training(config, small_spec(), load_dataset("moons"));
    std::vector<EpochMeans> means;
    while (!training.is_finished()) {
      if (training.step().epoch_ended) means.push_back(training.take_epoch_means());
    }
    CHECK(means.back().loss < means.front().loss);
    CHECK(means.back().accuracy >= 80);
    CHECK(training.model().net.lipschitz_bound().value < 1.00001);
  }
}

TEST_CASE("training: low-rank representations lose dimensions, the model has none of it") {
  // Free layers: norm-preserving ones keep the dimensions of what comes in.
  ModelSpec spec = small_spec();
  for (LayerSpec& layer : spec.layers) {
    if (layer.type == "linear")
      layer.options.emplace_back("constraint", std::string("unconstrained"));
  }
  RunConfig config = small_config();
  config.epochs = 40;
  config.lr = 1e-2;
  config.loss = "cross-entropy";
  const auto share = [&](const char* low_rank) {
    config.low_rank = low_rank;
    Training training(config, spec, load_dataset("moons"));
    while (!training.is_finished()) training.step();
    CHECK(training.variance_ratios().size() == (config.low_rank == "none" ? 0 : 1));
    CHECK(training.model().net.parameters().size() == 4);
    const LowRank probe("act1:rank=1", training.model().net, training.model().input, Rng(0));
    const Tensor points = training.data().test.pixels(0, 200);
    return probe.variance_ratios(training.model().net, points)[0].value;
  };
  const double plain = share("none");
  CHECK(share("act1:rank=1") > plain + 0.05);
  CHECK(share("act1:rank=1,method=nystrom,columns=4") > plain + 0.05);
}

TEST_CASE("training: the state holds the virtual layers, and continues them bit for bit") {
  RunConfig config = small_config();
  config.low_rank = "act1:rank=2,every=3,method=nystrom,columns=4+fc2:rank=1";
  Training straight(config, small_spec(), load_dataset("moons"));
  Training first(config, small_spec(), load_dataset("moons"));
  for (int i = 0; i < 4; ++i) first.step();
  first.save_state(scratch("low-rank"));
  Training second(config, small_spec(), load_dataset("moons"));
  second.load_state(scratch("low-rank"));
  while (!straight.is_finished()) straight.step();
  while (!second.is_finished()) second.step();
  CHECK(max_abs_diff(weights(straight), weights(second)) == 0);
}

TEST_CASE("training: the state continues a run bit for bit from any step") {
  Training straight(small_config(), small_spec(), load_dataset("moons"));
  for (const int stop : {1, 5, 9}) {
    CAPTURE(stop);
    Training first(small_config(), small_spec(), load_dataset("moons"));
    for (int i = 0; i < stop; ++i) first.step();
    first.save_state(scratch("state"));
    Training second(small_config(), small_spec(), load_dataset("moons"));
    second.load_state(scratch("state"));
    CHECK(second.counters().step == stop);
    CHECK(second.counters().loss_sum == first.counters().loss_sum);
    for (int i = 0; i < 4; ++i) {
      CHECK(first.step().loss == second.step().loss);
    }
    CHECK(max_abs_diff(weights(first), weights(second)) == 0);
  }
  std::filesystem::remove(scratch("state"));
}

// A convolution and dense layers large enough to be rounded.
ModelSpec wide_spec() {
  return {"wide",
          {{"conv1",
            "bcop",
            {{"out", std::int64_t{8}}, {"kernel", std::int64_t{4}}, {"stride", std::int64_t{2}}}},
           {"act1", "maxmin", {}},
           {"flatten", "flatten", {}},
           {"fc1", "linear", {{"out", std::int64_t{32}}}},
           {"act2", "maxmin", {}},
           {"fc2", "linear", {{"out", std::string("classes")}}}}};
}

Training bf16_training(const char* update) {
  TrainOptions options;
  options.dataset = "glyphs";
  options.precision = "bf16";
  options.orthogonal_update = update;
  options.threads = 1;
  return {resolve(options), wide_spec(), load_dataset("glyphs")};
}

TEST_CASE("training: in bf16 a run is the same each time and continues bit for bit") {
  if (lacks_bf16()) return;
  for (const char* update : {"reparametrize", "retract"}) {
    CAPTURE(update);
    Training straight = bf16_training(update);
    for (int i = 0; i < 6; ++i) straight.step();
    Training first = bf16_training(update);
    for (int i = 0; i < 2; ++i) first.step();
    first.save_state(scratch("bf16"));
    Training second = bf16_training(update);
    second.load_state(scratch("bf16"));
    for (int i = 0; i < 4; ++i) second.step();
    CHECK(second.counters().loss_sum == straight.counters().loss_sum);
    CHECK(max_abs_diff(weights(straight), weights(second)) == 0);
    std::filesystem::remove(scratch("bf16"));
  }
}

TEST_CASE("training: bf16 is of the step alone; weights, bound and evaluation are those of f32") {
  if (lacks_bf16()) return;
  Training training = bf16_training("reparametrize");
  const double before = flop_count().bf16;
  for (int i = 0; i < 3; ++i) training.step();
  CHECK(flop_count().bf16 > before);
  const double after = flop_count().bf16;
  Sequential& net = training.model().net;
  evaluate(training.model(), training.data().test, {1.58}, 500);
  net.lipschitz_bound();
  CHECK(flop_count().bf16 == after);
  // The weights of a recording in bf16 have the bits of one in f32.
  const auto recorded = [&](Precision precision) {
    Tape tape(precision);
    net.prepare();
    return net.weights()[1].weight->var().value();
  };
  CHECK(max_abs_diff(recorded(Precision::bf16), recorded(Precision::full)) == 0);
  const auto* conv = dynamic_cast<const BcopConv2d*>(net.parts()[0].module.get());
  REQUIRE(conv != nullptr);
  const auto kernel = [&](Precision precision) {
    Tape tape(precision);
    net.prepare();
    return conv->kernel().value();
  };
  CHECK(max_abs_diff(kernel(Precision::bf16), kernel(Precision::full)) == 0);
  CHECK(flop_count().bf16 == after);
}

TEST_CASE("training: an epoch's retractions have a mean and a maximum, also across a stop") {
  RunConfig config = small_config();
  config.orthogonal_update = "retract";
  const auto means = [&](int stop) {
    Training training(config, small_spec(), load_dataset("moons"));
    for (int i = 0; i < stop; ++i) training.step();
    training.save_state(scratch("retract"));
    Training second(config, small_spec(), load_dataset("moons"));
    second.load_state(scratch("retract"));
    while (!second.step().epoch_ended) {
    }
    const EpochMeans first_epoch = second.take_epoch_means();
    CHECK(second.take_epoch_means().most_retraction_steps == 0);
    return first_epoch;
  };
  const EpochMeans straight = means(0);
  CHECK(straight.retraction_steps > 0);
  CHECK(static_cast<double>(straight.most_retraction_steps) >= straight.retraction_steps);
  CHECK(straight.most_retraction_steps <= 8);
  CHECK(means(3).retraction_steps == straight.retraction_steps);
  CHECK(means(3).most_retraction_steps == straight.most_retraction_steps);
  std::filesystem::remove(scratch("retract"));
}

TEST_CASE("training: a state of another model or of no run is refused") {
  Training training(small_config(), small_spec(), load_dataset("moons"));
  const auto path = scratch("other");
  training.save_state(path);
  ModelSpec wider = small_spec();
  wider.layers[1].options[0].second = std::int64_t{12};
  Training other(small_config(), wider, load_dataset("moons"));
  CHECK_THROWS_WITH_AS(
      other.load_state(path),
      (path.string() +
       ": parameter.fc1.raw: expected shape [12, 2] and type f32, found [8, 2] and f32")
          .c_str(),
      DataError);
  SafeTensors file = load_safetensors(path);
  SafeTensors corrupt = file;
  corrupt.tensors["parameter.fc1.bias"] =
      Tensor::full({8}, std::numeric_limits<double>::quiet_NaN());
  save_safetensors(path, corrupt);
  CHECK_THROWS_WITH_AS(
      training.load_state(path),
      (path.string() + ": parameter.fc1.bias: expected finite values, found NaN or infinity")
          .c_str(),
      DataError);
  file.metadata.clear();
  save_safetensors(path, file);
  CHECK_THROWS_WITH_AS(
      training.load_state(path),
      (path.string() + ": expected the counters of a run in its metadata, found none; was it "
                       "written by isotape train?")
          .c_str(),
      DataError);
  std::filesystem::remove(path);
}

TEST_CASE("training: a loss that is not finite stops the run, naming the step") {
  Training training(small_config(), small_spec(), load_dataset("moons"));
  training.step();
  Parameter& bias = *training.model().net.parameters()[1].parameter;
  bias.write() = Tensor::full({8}, std::numeric_limits<double>::quiet_NaN());
  CHECK_THROWS_WITH_AS(training.step(), "step 2: expected a finite loss, got nan", NumericError);
}

TEST_CASE("training: the hold-out keeps the best epoch's parameters") {
  RunConfig config = small_config();
  config.dataset = "glyphs";
  config.select_on = "holdout";
  Dataset data = load_dataset("glyphs");
  ModelSpec spec = small_spec();
  Training training(config, spec, std::move(data));
  REQUIRE(training.holdout());
  CHECK(training.holdout()->size() == 5000);
  CHECK(training.steps_per_epoch() == 75);
  training.step();
  training.consider(90);
  const Tensor best = weights(training);
  training.step();
  training.consider(80);
  CHECK(max_abs_diff(weights(training), best) > 0);
  training.restore_best();
  CHECK(max_abs_diff(weights(training), best) == 0);
}

TEST_SUITE_END();
