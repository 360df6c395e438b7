#include <isotape/datasets/cifar10.hpp>

#include <algorithm>
#include <string>
#include <system_error>

#include <isotape/core/error.hpp>
#include <isotape/core/input_file.hpp>

namespace isotape {
namespace {

namespace fs = std::filesystem;

constexpr int classes = 10;
constexpr std::int64_t side = 32;
constexpr std::int64_t plane = side * side;
constexpr std::int64_t channels = 3;
constexpr std::int64_t image_bytes = plane * channels;
constexpr std::int64_t record_bytes = 1 + image_bytes;
constexpr std::int64_t full_train = 50'000;
constexpr std::int64_t full_test = 10'000;
constexpr int max_batches = 5;

class BatchFile {
 public:
  explicit BatchFile(const fs::path& path) : file_("load_cifar10", path) {
    const std::int64_t size = file_.size();
    if (size == 0 || size % record_bytes != 0) {
      file_.fail(size / record_bytes * record_bytes, "expected a file of a positive multiple of ",
                 record_bytes, " bytes, found ", size, " bytes");
    }
  }

  std::int64_t count() const { return file_.size() / record_bytes; }

  // Planar records to interleaved pixels, from position `first` of the split on.
  void read_into(Split& split, std::int64_t first) {
    std::vector<std::uint8_t> records(static_cast<std::size_t>(file_.size()));
    file_.read(0, std::as_writable_bytes(std::span(records)), "records");
    std::uint8_t* target = split.images.write<std::uint8_t>() + first * image_bytes;
    for (std::int64_t i = 0; i < count(); ++i, target += image_bytes) {
      const std::uint8_t* record = records.data() + i * record_bytes;
      if (record[0] >= classes) {
        file_.fail(i * record_bytes, "expected a label in 0..", classes - 1, ", found ",
                   int{record[0]});
      }
      split.labels.push_back(record[0]);
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::uint8_t* source = record + 1 + c * plane;
        for (std::int64_t p = 0; p < plane; ++p) target[p * channels + c] = source[p];
      }
    }
  }

 private:
  InputFile file_;
};

Split read_split(const std::vector<fs::path>& paths) {
  std::vector<BatchFile> files;
  std::int64_t count = 0;
  for (const fs::path& path : paths) {
    files.emplace_back(path);
    count += files.back().count();
  }
  Split split;
  split.images = Tensor({count, side, side, channels}, DType::u8);
  split.labels.reserve(static_cast<std::size_t>(count));
  for (BatchFile& file : files) file.read_into(split, split.size());
  return split;
}

}  // namespace

Dataset load_cifar10(const fs::path& folder) {
  std::vector<fs::path> batches;
  for (int n = 1; n <= max_batches; ++n) {
    const fs::path path = folder / message("data_batch_", n, ".bin");
    std::error_code ignored;
    if (fs::exists(path, ignored)) batches.push_back(path);
  }
  require<DataError>(!batches.empty(), "load_cifar10: ", folder.string(),
                     ": expected data_batch_1.bin to data_batch_", max_batches,
                     ".bin or some of them, found none");
  Dataset dataset;
  dataset.name = "cifar10";
  dataset.class_names = {"airplane", "automobile", "bird",  "cat",  "deer",
                         "dog",      "frog",       "horse", "ship", "truck"};
  dataset.train = read_split(batches);
  dataset.test = read_split({folder / "test_batch.bin"});
  dataset.folder = folder;
  if (dataset.train.size() < full_train || dataset.test.size() < full_test) {
    dataset.warnings.push_back(
        message("cifar10: found ", dataset.train.size(), " of ", full_train, " training and ",
                dataset.test.size(), " of ", full_test,
                " test images; figures on a part are not comparable with published ones"));
  }
  return dataset;
}

}  // namespace isotape
