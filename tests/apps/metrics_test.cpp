#include <doctest/doctest.h>
#include <support/scratch_folder.hpp>

#include <isotape/apps/metrics.hpp>
#include <isotape/core/error.hpp>

using namespace isotape;

namespace {

const std::vector<Eps> eps = {{"0.3", 0.3}, {"36/255", 36.0 / 255}};

EpochMetrics metrics_of(std::int64_t epoch) {
  EpochMetrics metrics;
  metrics.epoch = epoch;
  metrics.step = 10 * epoch;
  metrics.lr = 1e-3;
  metrics.loss = 0.5;
  metrics.train_accuracy = 50;
  metrics.test.clean_accuracy = 60;
  metrics.test.certified_accuracy = {40, 20};
  metrics.test.mean_certified_radius = 0.25;
  metrics.test.lipschitz_bound = 1;
  return metrics;
}

std::string first_line() {
  return R"({"step":5,"loss":0.75})"
         "\n";
}

}  // namespace

TEST_SUITE_BEGIN("apps/metrics");

TEST_CASE("metrics: a line per epoch and per noted loss, wall-clock figures in time_* only") {
  const ScratchFolder folder;
  MetricsLog log(folder / "m", 0);
  log.append(5, 0.75);
  CHECK(folder.get("m") == first_line());
  log.append(metrics_of(1), eps);
  CHECK(
      folder.get("m") ==
      first_line() +
          R"({"epoch":1,"step":10,"lr":0.001,"loss":0.5,"train_accuracy":50.0,)"
          R"("clean_accuracy":60.0,"certified_accuracy":{"0.3":40.0,"36/255":20.0},)"
          R"("mean_certified_radius":0.25,"lipschitz_bound":1.0,"time_train_s":0.0,"time_train_cpu_s":0.0,)"
          R"("time_eval_s":0.0})"
          "\n");
  const LoggedMetrics read = read_metrics(folder / "m");
  REQUIRE(read.epochs.size() == 1);
  CHECK(read.epochs[0].certified_accuracy == std::vector<double>{40, 20});
  CHECK(read.losses == std::vector<std::pair<std::int64_t, double>>{{5, 0.75}});
}

TEST_CASE("metrics: of retracted weights the steps back to the manifold, mean and maximum") {
  const ScratchFolder folder;
  MetricsLog log(folder / "m", 0);
  EpochMetrics metrics = metrics_of(1);
  metrics.retraction_steps = {1.25, 3};
  log.append(metrics, eps);
  CHECK(folder.get("m").find(R"("retraction_steps":{"mean":1.25,"max":3})") != std::string::npos);
}

TEST_CASE("metrics: a resumed run drops the lines after its step, and one that was cut") {
  const ScratchFolder folder;
  folder.put("m", first_line() + R"({"step":12,"loss":1})"
                                 "\n"
                                 R"({"step":14,"lo)");
  CHECK(read_metrics(folder / "m").losses.size() == 2);
  MetricsLog log(folder / "m", 10);
  log.append(15, 0.5);
  CHECK(folder.get("m") == first_line() + R"({"step":15,"loss":0.5})"
                                          "\n");
}

TEST_CASE("metrics: a whole line that is none is refused, naming it") {
  const ScratchFolder folder;
  folder.put("m", first_line() + "{\"step\":\n" + first_line());
  const std::string expected =
      "DIR/m: line 2: expected the metrics of an epoch in JSON, found '{\"step\":'";
  CHECK(folder.error<DataError>([&] { read_metrics(folder / "m"); }) == expected);
  CHECK(folder.error<DataError>([&] { MetricsLog(folder / "m", 10); }) == expected);
}

TEST_SUITE_END();
