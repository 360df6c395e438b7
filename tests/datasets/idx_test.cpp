#include <doctest/doctest.h>
#include <algorithm>
#include <string>
#include <support/idx_files.hpp>
#include <support/scratch_folder.hpp>

#include <isotape/core/error.hpp>
#include <isotape/datasets/idx.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("datasets/idx");

namespace {

const std::string images = idx_images(3, 2, 2, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255});
const std::string labels = idx_labels({2, 0, 9});

// The text of the error for a changed image or label file, without reader and path.
std::string error_for_images(const ScratchFolder& folder, const std::string& bytes) {
  const std::string text = folder.error<DataError>(
      [&] { load_idx(folder.put("x", bytes), folder.put("y", labels), 10); });
  const std::string prefix = "load_idx: DIR/x: ";
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

std::string error_for_labels(const ScratchFolder& folder, const std::string& bytes) {
  const std::string text = folder.error<DataError>(
      [&] { load_idx(folder.put("x", images), folder.put("y", bytes), 10); });
  const std::string prefix = "load_idx: DIR/y: ";
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

}  // namespace

TEST_CASE("load_idx: reads raw and gzipped files alike") {
  const ScratchFolder folder;
  for (const bool packed : {false, true}) {
    CAPTURE(packed);
    const Split split = load_idx(folder.put("x", packed ? gzipped(images) : images),
                                 folder.put("y", packed ? gzipped(labels) : labels), 10);
    CHECK(split.images.shape() == Shape{3, 2, 2, 1});
    CHECK(split.images.dtype() == DType::u8);
    CHECK(split.images.at(4) == 4);
    CHECK(split.images.at(11) == 255);
    CHECK(split.labels == std::vector<std::int32_t>{2, 0, 9});
  }
}

TEST_CASE("load_idx: a file cut anywhere is refused, raw or gzipped") {
  const ScratchFolder folder;
  for (const std::string& whole : {images, gzipped(images)}) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      CAPTURE(length);
      CHECK(error_for_images(folder, whole.substr(0, length)).starts_with("offset "));
    }
  }
  for (const std::string& whole : {labels, gzipped(labels)}) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      CAPTURE(length);
      CHECK(error_for_labels(folder, whole.substr(0, length)).starts_with("offset "));
    }
  }
}

TEST_CASE("load_idx: says where an image file is wrong") {
  const ScratchFolder folder;
  CHECK(error_for_images(folder, "") ==
        "offset 0: expected a magic number of 4 bytes, found the end of the file at offset 0");
  CHECK(error_for_images(folder, images.substr(0, 9)) ==
        "offset 8: expected a count of 4 bytes, found the end of the file at offset 9");
  CHECK(error_for_images(folder, images.substr(0, 20)) ==
        "offset 16: expected pixels of 12 bytes, found the end of the file at offset 20");
  CHECK(error_for_images(folder, images + "x") ==
        "offset 28: expected the end of the file, found more bytes");
  CHECK(error_for_images(folder, labels) ==
        "offset 0: expected magic 0x00000803 (u8 images), found 0x00000801");
  CHECK(error_for_images(folder, "not an image file") ==
        "offset 0: expected magic 0x00000803 (u8 images), found 0x6e6f7420");
  CHECK(error_for_images(folder, idx_images(0, 2, 2, {})) ==
        "offset 4: expected a count that fits the file's size, found 0");
  // No memory is asked for what the file cannot hold.
  CHECK(error_for_images(folder, idx_images(3, 0xffffffff, 0xffffffff, {1, 2, 3})) ==
        "offset 8: expected a count that fits the file's size, found 4294967295");
  CHECK(error_for_images(folder, gzipped(idx_images(0xffffffff, 2, 2, {1, 2, 3}))) ==
        "offset 4: expected a count that fits the file's size, found 4294967295");
}

TEST_CASE("load_idx: says where a label file is wrong") {
  const ScratchFolder folder;
  CHECK(error_for_labels(folder, images) ==
        "offset 0: expected magic 0x00000801 (u8 labels), found 0x00000803");
  CHECK(error_for_labels(folder, idx_labels({1, 2})) ==
        "offset 4: expected 3 labels, as many as there are images, found 2");
  CHECK(error_for_labels(folder, labels.substr(0, 10)) ==
        "offset 8: expected labels of 3 bytes, found the end of the file at offset 10");
  CHECK(error_for_labels(folder, labels + "x") ==
        "offset 11: expected the end of the file, found more bytes");
  CHECK(error_for_labels(folder, idx_labels({1, 10, 2})) ==
        "offset 9: expected a label in 0..9, found 10");
}

TEST_CASE("load_idx: a damaged gzip file is refused, unless it unpacks to the same bytes") {
  const ScratchFolder folder;
  const std::string packed = gzipped(images);
  const Tensor intact = load_idx(folder.put("x", images), folder.put("y", labels), 10).images;
  int refused = 0;
  for (std::size_t i = 0; i < packed.size(); ++i) {
    for (const int bit : {0x01, 0x10, 0x40}) {
      CAPTURE(i);
      std::string changed = packed;
      changed[i] = static_cast<char>(changed[i] ^ bit);
      const std::string text = error_for_images(folder, changed);
      refused += text.starts_with("offset ") ? 1 : 0;
      if (text != "nothing thrown") continue;
      const Tensor read = load_idx(folder / "x", folder / "y", 10).images;
      CHECK(std::ranges::equal(read.bytes(), intact.bytes()));
    }
  }
  CHECK(refused > static_cast<int>(2 * packed.size()));
  std::string changed = packed;
  changed[packed.size() - 8] ^= 1;
  CHECK(error_for_images(folder, changed) ==
        "offset 16: expected an intact gzip stream, found: incorrect data check");
  CHECK(error_for_images(folder, packed.substr(0, packed.size() - 9)) ==
        "offset 28: expected an intact gzip stream, found: unexpected end of file");
}

TEST_CASE("load_idx: a large gzip file cut anywhere in its last bytes is refused") {
  const ScratchFolder folder;
  constexpr std::uint32_t count = 400;
  std::vector<std::uint8_t> pixels(std::size_t{count} * 28 * 28);
  std::uint32_t state = 1;
  for (std::uint8_t& pixel : pixels) {
    state = state * 1664525 + 1013904223;
    pixel = static_cast<std::uint8_t>(state >> 24U);
  }
  const std::string packed = gzipped(idx_images(count, 28, 28, pixels));
  REQUIRE(packed.size() > 1U << 18U);  // more than is read at once
  const auto y = folder.put("y", idx_labels(std::vector<std::uint8_t>(count, 1)));
  CHECK(load_idx(folder.put("x", packed), y, 10).images.at(0) == pixels[0]);
  for (std::size_t missing = 1; missing <= 20; ++missing) {
    CAPTURE(missing);
    const auto x = folder.put("x", packed.substr(0, packed.size() - missing));
    CHECK(folder.error<DataError>([&] { load_idx(x, y, 10); })
              .ends_with("expected an intact gzip stream, found: unexpected end of file"));
  }
}

TEST_CASE("load_idx: streams of gzip after one another are one file, other bytes are refused") {
  const ScratchFolder folder;
  const std::string packed = gzipped(images.substr(0, 20)) + gzipped(images.substr(20));
  CHECK(load_idx(folder.put("x", packed), folder.put("y", labels), 10).images.at(11) == 255);
  CHECK(error_for_images(folder, packed + "more") ==
        "offset 28: expected an intact gzip stream, found: incorrect header check");
  CHECK(error_for_images(folder, packed + gzipped("x")) ==
        "offset 28: expected the end of the file, found more bytes");
}

TEST_CASE("load_idx: names a file that is missing or a folder") {
  const ScratchFolder folder;
  CHECK(folder.error<DataError>([&] { load_idx(folder / "x", folder / "y", 10); }) ==
        "load_idx: DIR/x: expected a file, found nothing");
  CHECK(folder.error<DataError>([&] { load_idx(folder.put("x", images), folder / "y", 10); }) ==
        "load_idx: DIR/y: expected a file, found nothing");
  CHECK(folder.error<DataError>([&] { load_idx(folder.path(), folder / "y", 10); }) ==
        "load_idx: DIR: expected a file, found a directory");
}

TEST_SUITE_END();
