#include <doctest/doctest.h>
#include <cmath>

#include <isotape/apps/verify/data.hpp>
#include <isotape/apps/verify/failure.hpp>

#include "../../support/idx_files.hpp"
#include "../../support/scratch_folder.hpp"

using namespace isotape::verify;

TEST_SUITE_BEGIN("apps/verify/data");

TEST_CASE("read_test_images: idx files, packed or not, in the usual folder or the given one") {
  const ScratchFolder folder;
  const std::string images = idx_images(3, 1, 2, {1, 2, 3, 4, 5, 255});
  folder.put("MNIST/raw/t10k-images-idx3-ubyte.gz", gzipped(images));
  folder.put("t10k-labels-idx1-ubyte", idx_labels({7, 8, 9}));
  const Images read = read_test_images("mnist", folder.path(), 2);
  CHECK(read.height == 1);
  CHECK(read.width == 2);
  CHECK(read.channels == 1);
  CHECK(read.pixels == std::string("\x01\x02\x03\x04"));
  CHECK(read.labels == std::vector<std::int64_t>{7, 8});
  CHECK_THROWS_AS(read_test_images("mnist", folder.path(), 4), Failure);
  CHECK_THROWS_AS(read_test_images("fashion-mnist", folder.path(), 2), Missing);
  CHECK_THROWS_AS(read_test_images("moons", folder.path(), 2), Missing);
}

TEST_CASE("read_test_images: cifar10, the channels of a pixel side by side") {
  const ScratchFolder folder;
  std::string record(1 + 3 * 1024, '\0');
  record[0] = 4;
  record[1] = 'r';
  record[1 + 1024] = 'g';
  record[1 + 2048] = 'b';
  record[2] = 'R';
  folder.put("cifar-10-batches-bin/test_batch.bin", record + record);
  const Images read = read_test_images("cifar10", folder.path(), 2);
  CHECK(read.pixels.substr(0, 4) == "rgbR");
  CHECK(read.pixels.size() == 2 * 3072);
  CHECK(read.labels == std::vector<std::int64_t>{4, 4});
  CHECK_THROWS_AS(read_test_images("cifar10", folder.path(), 3), Failure);
}

TEST_CASE("read_test_images: files that are cut or something else") {
  const ScratchFolder folder;
  folder.put("t10k-labels-idx1-ubyte", idx_labels({1}));
  for (const std::string& bytes :
       {std::string(), std::string(16, '\0'), idx_images(1, 4, 4, {1, 2, 3}),
        idx_images(1, 0xffffffff, 0xffffffff, {1})}) {
    folder.put("t10k-images-idx3-ubyte", bytes);
    CHECK_THROWS_AS(read_test_images("mnist", folder.path(), 1), Failure);
  }
}

TEST_CASE("pixel_norm: at least the norm, hardly more") {
  const std::string pixels("\x03\x04\xff");
  const double norm = std::sqrt(9.0 + 16 + 65025) / 255;
  CHECK(pixel_norm(pixels, 255) >= norm);
  CHECK(pixel_norm(pixels, 255) <= norm * (1 + 1e-15));
  CHECK(pixel_norm(std::string(3, '\0'), 255) == 0);
}

TEST_SUITE_END();
