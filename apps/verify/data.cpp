#include <isotape/apps/verify/data.hpp>

#include <zlib.h>
#include <array>
#include <cmath>
#include <memory>
#include <system_error>

#include <isotape/apps/verify/arithmetic.hpp>
#include <isotape/apps/verify/failure.hpp>

namespace isotape::verify {
namespace {

namespace fs = std::filesystem;

// The first of folder/usual/file and folder/file, as it is or packed.
fs::path find(const fs::path& folder, const char* usual, const std::string& file) {
  for (const fs::path& place : {folder / usual, folder}) {
    for (const char* end : {"", ".gz"}) {
      fs::path path = place / (file + end);
      std::error_code error;
      if (fs::is_regular_file(path, error)) return path;
    }
  }
  throw Missing(folder.string() + ": expected " + file + " (or .gz) in it or in " + usual +
                ", found none");
}

// Up to `count` bytes from the beginning of a file; of a gzipped one, of what it holds.
std::string first_bytes(const fs::path& path, std::int64_t count) {
  struct Close {
    void operator()(gzFile_s* file) const { gzclose(file); }
  };
  const std::unique_ptr<gzFile_s, Close> file(gzopen(path.c_str(), "rb"));
  if (!file) throw Missing(path.string() + ": expected a file that can be read, found none");
  std::string bytes;
  std::array<char, 1 << 16> chunk{};
  while (std::ssize(bytes) < count) {
    const std::int64_t wanted = std::min<std::int64_t>(chunk.size(), count - std::ssize(bytes));
    const int got = gzread(file.get(), chunk.data(), static_cast<unsigned>(wanted));
    if (got < 0) throw Missing(path.string() + ": expected a file that can be read, found damage");
    if (got == 0) break;
    bytes.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return bytes;
}

std::int64_t big_endian(const std::string& bytes, std::size_t at) {
  std::int64_t value = 0;
  for (std::size_t i = at; i < at + 4; ++i) {
    value = value * 256 + static_cast<unsigned char>(bytes.at(i));
  }
  return value;
}

void expect(bool holds, const fs::path& path, const std::string& expected) {
  if (!holds)
    throw Failure("data: " + path.string() + ": expected " + expected + ", found another file");
}

// IDX: a magic number, the extents (4 bytes each, big endian), the entries, image by image.
Images read_idx(const fs::path& folder, const char* usual, std::int64_t count) {
  constexpr std::int64_t image_header = 16;
  constexpr std::int64_t label_header = 8;
  const fs::path image_path = find(folder, usual, "t10k-images-idx3-ubyte");
  const std::string header = first_bytes(image_path, image_header);
  expect(std::ssize(header) == image_header && big_endian(header, 0) == 0x803, image_path,
         "an IDX file of images");
  Images images{big_endian(header, 8), big_endian(header, 12), 1, {}, {}};
  constexpr std::int64_t largest_side = 1 << 12;
  expect(big_endian(header, 4) >= count && images.height <= largest_side &&
             images.width <= largest_side,
         image_path, std::to_string(count) + " images or more");
  const std::int64_t size = count * images.height * images.width;
  images.pixels = first_bytes(image_path, image_header + size).erase(0, image_header);
  expect(std::ssize(images.pixels) == size, image_path, "a whole file");
  const fs::path label_path = find(folder, usual, "t10k-labels-idx1-ubyte");
  const std::string labels = first_bytes(label_path, label_header + count);
  expect(std::ssize(labels) == label_header + count && big_endian(labels, 0) == 0x801, label_path,
         "an IDX file of " + std::to_string(count) + " labels or more");
  for (std::int64_t i = 0; i < count; ++i) {
    images.labels.push_back(static_cast<unsigned char>(labels[label_header + i]));
  }
  return images;
}

// CIFAR-10: records of a label and 32 x 32 pixels, one channel after the other.
Images read_cifar10(const fs::path& folder, std::int64_t count) {
  constexpr std::int64_t pixels = std::int64_t{32} * 32;
  constexpr std::int64_t record = 1 + 3 * pixels;
  const fs::path path = find(folder, "cifar-10-batches-bin", "test_batch.bin");
  const std::string bytes = first_bytes(path, count * record);
  expect(std::ssize(bytes) == count * record, path, std::to_string(count) + " images or more");
  Images images{32, 32, 3, {}, {}};
  for (std::int64_t i = 0; i < count; ++i) {
    images.labels.push_back(static_cast<unsigned char>(bytes[i * record]));
    for (std::int64_t p = 0; p < 3 * pixels; ++p) {
      images.pixels += bytes[i * record + 1 + p % 3 * pixels + p / 3];
    }
  }
  return images;
}

}  // namespace

Images read_test_images(const std::string& dataset, const fs::path& folder, std::int64_t count) {
  constexpr std::int64_t most = 10'000'000;
  if (count > most) throw Failure("data: expected at most 10000000 images");
  if (dataset == "mnist") return read_idx(folder, "MNIST/raw", count);
  if (dataset == "fashion-mnist") return read_idx(folder, "FashionMNIST/raw", count);
  if (dataset == "cifar10") return read_cifar10(folder, count);
  throw Missing(
      "--data: expected mnist, fashion-mnist or cifar10, which are kept in files, found '" +
      dataset + "'");
}

// The sum of squares of bytes is an exact integer.
double pixel_norm(std::string_view pixels, std::int64_t scale) {
  std::int64_t sum = 0;
  for (const char c : pixels) {
    const std::int64_t byte = static_cast<unsigned char>(c);
    sum += byte * byte;
  }
  return sum == 0 ? 0 : div_up(sqrt_up(static_cast<double>(sum)), static_cast<double>(scale));
}

}  // namespace isotape::verify
