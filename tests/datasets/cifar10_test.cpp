#include <doctest/doctest.h>
#include <string>
#include <support/scratch_folder.hpp>

#include <isotape/core/error.hpp>
#include <isotape/datasets/cifar10.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("datasets/cifar10");

namespace {

// A record whose pixel (y, x) is (label, y, x).
std::string record(int label) {
  std::string bytes(1, static_cast<char>(label));
  bytes += std::string(1024, static_cast<char>(label));
  for (int y = 0; y < 32; ++y) bytes += std::string(32, static_cast<char>(y));
  for (int y = 0; y < 32; ++y) {
    for (int x = 0; x < 32; ++x) bytes += static_cast<char>(x);
  }
  return bytes;
}

std::string error_for_test_batch(const ScratchFolder& folder, const std::string& bytes) {
  folder.put("data_batch_1.bin", record(1));
  folder.put("test_batch.bin", bytes);
  return folder.error<DataError>([&] { load_cifar10(folder.path()); });
}

}  // namespace

TEST_CASE("load_cifar10: reads every batch that is there, in order, as interleaved pixels") {
  const ScratchFolder folder;
  folder.put("data_batch_5.bin", record(7));
  folder.put("data_batch_2.bin", record(3) + record(4));
  folder.put("test_batch.bin", record(9));
  const Dataset dataset = load_cifar10(folder.path());
  CHECK(dataset.name == "cifar10");
  CHECK(dataset.classes() == 10);
  CHECK(dataset.class_names[9] == "truck");
  CHECK(dataset.image_shape() == Shape{32, 32, 3});
  CHECK(dataset.train.labels == std::vector<std::int32_t>{3, 4, 7});
  CHECK(dataset.test.labels == std::vector<std::int32_t>{9});
  CHECK(dataset.train.images.shape() == Shape{3, 32, 32, 3});
  const auto* pixels = dataset.train.images.data<std::uint8_t>();
  bool right = true;
  for (std::int64_t i = 0; i < 3; ++i) {
    for (std::int64_t y = 0; y < 32; ++y) {
      for (std::int64_t x = 0; x < 32; ++x) {
        const std::int64_t at = ((i * 32 + y) * 32 + x) * 3;
        right = right && pixels[at] == dataset.train.labels[i] && pixels[at + 1] == y &&
                pixels[at + 2] == x;
      }
    }
  }
  CHECK(right);
}

TEST_CASE("load_cifar10: a part of the set is read with one warning") {
  const ScratchFolder folder;
  folder.put("data_batch_1.bin", record(3) + record(4));
  folder.put("test_batch.bin", record(9));
  CHECK(load_cifar10(folder.path()).warnings ==
        std::vector<std::string>{
            "cifar10: found 2 of 50000 training and 1 of 10000 test images; figures on a part are "
            "not comparable with published ones"});
}

TEST_CASE("load_cifar10: says which file is wrong, and where") {
  const ScratchFolder folder;
  CHECK(folder.error<DataError>([&] { load_cifar10(folder.path()); }) ==
        "load_cifar10: DIR: expected data_batch_1.bin to data_batch_5.bin or some of them, found "
        "none");
  folder.put("data_batch_1.bin", record(1));
  CHECK(folder.error<DataError>([&] { load_cifar10(folder.path()); }) ==
        "load_cifar10: DIR/test_batch.bin: expected a file, found nothing");
  CHECK(error_for_test_batch(folder, "") ==
        "load_cifar10: DIR/test_batch.bin: offset 0: expected a file of a positive multiple of "
        "3073 bytes, found 0 bytes");
  CHECK(error_for_test_batch(folder, record(1) + record(2).substr(0, 100)) ==
        "load_cifar10: DIR/test_batch.bin: offset 3073: expected a file of a positive multiple of "
        "3073 bytes, found 3173 bytes");
  CHECK(error_for_test_batch(folder, record(1) + record(10)) ==
        "load_cifar10: DIR/test_batch.bin: offset 3073: expected a label in 0..9, found 10");
  std::filesystem::remove(folder / "test_batch.bin");
  folder.put("test_batch.bin/x", "");
  CHECK(folder.error<DataError>([&] { load_cifar10(folder.path()); }) ==
        "load_cifar10: DIR/test_batch.bin: expected a file, found a directory");
}

TEST_SUITE_END();
