// The readers on real images, from where a data set is looked for by its name. Each suite is a
// CTest of its own, skipped where its files are not.
#include <doctest/doctest.h>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <isotape/datasets/registry.hpp>

using namespace isotape;

namespace {

// Says that a test is skipped, in the words CTest looks for.
bool skipped_without_data(const std::string& name) {
  if (std::getenv("ISOTAPE_DATA") != nullptr) return false;
  MESSAGE("skipped: " << name << " needs $ISOTAPE_DATA");
  return true;
}

std::vector<std::int64_t> counts(const Split& split, int classes) {
  std::vector<std::int64_t> result(static_cast<std::size_t>(classes));
  for (const std::int32_t label : split.labels) ++result.at(label);
  return result;
}

struct Moments {
  double mean;
  double deviation;
};

// Of the pixels of one channel, in [0, 1].
Moments moments(const Split& split, std::int64_t channel = 0) {
  const std::int64_t channels = split.images.dim(3);
  const auto* pixels = split.images.data<std::uint8_t>();
  double sum = 0;
  double squares = 0;
  for (std::int64_t i = channel; i < split.images.size(); i += channels) {
    sum += pixels[i];
    squares += double(pixels[i]) * pixels[i];
  }
  const double count = static_cast<double>(split.images.size()) / static_cast<double>(channels);
  const double mean = sum / count;
  return {mean / 255, std::sqrt(squares / count - mean * mean) / 255};
}

}  // namespace

TEST_SUITE_BEGIN("data/mnist");

TEST_CASE("mnist: the counts per digit and the pixel moments are the published ones") {
  if (skipped_without_data("mnist")) return;
  const Dataset dataset = load_dataset("mnist");
  CHECK(dataset.train.images.shape() == Shape{60000, 28, 28, 1});
  CHECK(dataset.test.images.shape() == Shape{10000, 28, 28, 1});
  CHECK(counts(dataset.train, 10) ==
        std::vector<std::int64_t>{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949});
  CHECK(counts(dataset.test, 10) ==
        std::vector<std::int64_t>{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009});
  CHECK(moments(dataset.train).mean == doctest::Approx(0.1307).epsilon(0.001));
  CHECK(moments(dataset.train).deviation == doctest::Approx(0.3081).epsilon(0.001));
  CHECK(dataset.warnings.empty());
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("data/fashion-mnist");

TEST_CASE("fashion-mnist: every class equally often, and the published pixel moments") {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
    MESSAGE("skipped: the package dataset-fashion-mnist is not installed");
    return;
  }
  const Dataset dataset =
      load_dataset("fashion-mnist", {.folder = "/usr/share/datasets/fashion-mnist"});
  CHECK(counts(dataset.train, 10) == std::vector<std::int64_t>(10, 6000));
  CHECK(counts(dataset.test, 10) == std::vector<std::int64_t>(10, 1000));
  CHECK(dataset.image_shape() == Shape{28, 28, 1});
  CHECK(moments(dataset.train).mean == doctest::Approx(0.2860).epsilon(0.001));
  CHECK(moments(dataset.train).deviation == doctest::Approx(0.3530).epsilon(0.001));
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("data/cifar10");

TEST_CASE("cifar10: channels are apart, and their moments near the published ones") {
  if (skipped_without_data("cifar10")) return;
  const Dataset dataset = load_dataset("cifar10");
  CHECK(dataset.image_shape() == Shape{32, 32, 3});
  CHECK(dataset.warnings.size() == (dataset.train.size() < 50000 ? 1 : 0));
  for (const std::int64_t count : counts(dataset.train, 10)) {
    CHECK(count == doctest::Approx(double(dataset.train.size()) / 10).epsilon(0.1));
  }
  // Of all 50,000: means 0.4914, 0.4822, 0.4465, deviations 0.2470, 0.2435, 0.2616.
  const std::vector<Moments> published{{0.4914, 0.2470}, {0.4822, 0.2435}, {0.4465, 0.2616}};
  for (std::int64_t channel = 0; channel < 3; ++channel) {
    CAPTURE(channel);
    const Moments found = moments(dataset.train, channel);
    CHECK(found.mean == doctest::Approx(published[channel].mean).epsilon(0.01));
    CHECK(found.deviation == doctest::Approx(published[channel].deviation).epsilon(0.01));
  }
}

TEST_CASE("cifar10: pixel (y, x) of channel c stands where the file has it") {
  if (skipped_without_data("cifar10")) return;
  const Dataset dataset = load_dataset("cifar10");
  std::ifstream file(dataset.folder / "test_batch.bin", std::ios::binary);
  std::vector<char> record(3073);
  for (std::int64_t i = 0; i < 10; ++i) {
    file.read(record.data(), 3073);
    CHECK(dataset.test.labels[i] == record[0]);
    for (const std::int64_t p : {0, 5, 500, 1023}) {
      for (std::int64_t c = 0; c < 3; ++c) {
        CHECK(dataset.test.images.at((i * 1024 + p) * 3 + c) ==
              static_cast<unsigned char>(record[1 + c * 1024 + p]));
      }
    }
  }
}

TEST_SUITE_END();
