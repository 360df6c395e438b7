#include <isotape/datasets/registry.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <system_error>

#include <isotape/core/error.hpp>
#include <isotape/datasets/cifar10.hpp>
#include <isotape/datasets/clusters.hpp>
#include <isotape/datasets/glyphs.hpp>
#include <isotape/datasets/idx.hpp>
#include <isotape/datasets/toys.hpp>

namespace isotape {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

constexpr const char* distribution_folder = "/usr/share/datasets/fashion-mnist";
constexpr std::array<const char*, 4> idx_files{"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                               "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};

// A data set kept in files: the folder's name inside a data folder, what makes a folder count as
// its own, and what to do if there is none.
struct FileSet {
  std::string name;
  fs::path folder;
  Names files;
  bool may_be_packed;  // as FILE.gz
  std::string remedy;
};

std::string joined(const Names& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

bool present(const fs::path& path) {
  std::error_code ignored;  // a folder that may not be looked into has nothing for us
  return fs::exists(path, ignored);
}

// Where to look, in order: each data folder's subfolder, then the data folder itself.
std::vector<fs::path> candidates(const FileSet& set, const fs::path& chosen) {
  std::vector<fs::path> roots;
  if (!chosen.empty()) roots.push_back(chosen);
  if (const char* variable = std::getenv("ISOTAPE_DATA"); variable != nullptr && *variable != 0) {
    roots.emplace_back(variable);
  }
  roots.emplace_back("data");
  std::vector<fs::path> folders;
  for (const fs::path& root : roots) {
    folders.push_back(root / set.folder);
    folders.push_back(root);
  }
  if (set.name == "fashion-mnist") folders.emplace_back(distribution_folder);
  return folders;
}

// The first folder that holds any of the files, raw or gzipped.
fs::path find_folder(const FileSet& set, const fs::path& chosen) {
  std::error_code ignored;
  const std::string wanted = joined(set.files) + (set.may_be_packed ? " (or .gz)" : "");
  require<DataError>(chosen.empty() || fs::is_directory(chosen, ignored),
                     "load_dataset: ", chosen.string(), ": expected a data folder, found ",
                     present(chosen) ? "a file" : "nothing", ", to look in for ", wanted, "; ",
                     set.remedy);
  Names looked_in;
  for (const fs::path& folder : candidates(set, chosen)) {
    const bool found = std::any_of(set.files.begin(), set.files.end(), [&](const auto& file) {
      return present(folder / file) || (set.may_be_packed && present(folder / (file + ".gz")));
    });
    if (found) return folder;
    looked_in.push_back(folder.string());
  }
  throw DataError(message("load_dataset: ", set.name, ": expected ", wanted,
                          ", found none of them in ", joined(looked_in), "; ", set.remedy));
}

// A file's own path or that of its gzipped form; the former if there is neither.
fs::path raw_or_packed(const fs::path& folder, const char* file) {
  const fs::path raw = folder / file;
  const fs::path packed = folder / (std::string(file) + ".gz");
  return !present(raw) && present(packed) ? packed : raw;
}

// MNIST and Fashion-MNIST share their files' names: their first labels tell them apart.
void check_identity(const Dataset& dataset) {
  struct Identity {
    const char* name;
    std::array<std::int32_t, 10> first_labels;
  };
  constexpr std::array<Identity, 2> known{{{"mnist", {5, 0, 4, 1, 9, 2, 1, 3, 1, 4}},
                                           {"fashion-mnist", {9, 0, 0, 3, 0, 2, 7, 2, 5, 5}}}};
  for (const Identity& identity : known) {
    const std::vector<std::int32_t>& labels = dataset.train.labels;
    const bool matches =
        labels.size() >= identity.first_labels.size() &&
        std::equal(identity.first_labels.begin(), identity.first_labels.end(), labels.begin());
    require<DataError>(!matches || dataset.name == identity.name,
                       "load_dataset: ", dataset.folder.string(), ": expected the images of ",
                       dataset.name, ", found those of ", identity.name);
  }
}

Dataset load_mnist_like(const FileSet& set, Names class_names, const fs::path& chosen) {
  Dataset dataset;
  dataset.name = set.name;
  dataset.class_names = std::move(class_names);
  dataset.folder = find_folder(set, chosen);
  const auto path = [&](int i) { return raw_or_packed(dataset.folder, idx_files.at(i)); };
  dataset.train = load_idx(path(0), path(1), dataset.classes());
  dataset.test = load_idx(path(2), path(3), dataset.classes());
  const Shape& train = dataset.train.images.shape();
  const Shape& test = dataset.test.images.shape();
  require<DataError>(train.with(0, 0) == test.with(0, 0), "load_dataset: ", path(2).string(),
                     ": expected images of ", train[1], " x ", train[2],
                     " pixels, as in the training set, found ", test[1], " x ", test[2]);
  check_identity(dataset);
  return dataset;
}

Dataset load_mnist(const DatasetOptions& options) {
  return load_mnist_like({"mnist",
                          "MNIST/raw",
                          {idx_files.begin(), idx_files.end()},
                          true,
                          "scripts/fetch-data.sh mnist DIR fetches them"},
                         {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, options.folder);
}

Dataset load_fashion_mnist(const DatasetOptions& options) {
  return load_mnist_like({"fashion-mnist",
                          "FashionMNIST/raw",
                          {idx_files.begin(), idx_files.end()},
                          true,
                          "Debian's package dataset-fashion-mnist brings them"},
                         {"T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt",
                          "sneaker", "bag", "ankle boot"},
                         options.folder);
}

Dataset load_cifar10_set(const DatasetOptions& options) {
  return load_cifar10(find_folder({"cifar10",
                                   "cifar-10-batches-bin",
                                   {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                    "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"},
                                   false,
                                   "scripts/fetch-data.sh cifar10 DIR fetches them"},
                                  options.folder));
}

struct Entry {
  DatasetInfo info;
  Dataset (*load)(const DatasetOptions& options);
};

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all{
      {{"mnist", {28, 28, 1}, 10, 60'000, 10'000, "handwritten digits", false}, load_mnist},
      {{"fashion-mnist", {28, 28, 1}, 10, 60'000, 10'000, "articles of clothing", false},
       load_fashion_mnist},
      {{"cifar10",
        {32, 32, 3},
        10,
        50'000,
        10'000,
        "colour photographs of animals and vehicles",
        false},
       load_cifar10_set},
      {{"glyphs",
        {28, 28, 1},
        10,
        20'000,
        4'000,
        "drawn digits, made from a seed, no file needed",
        true},
       [](const DatasetOptions& options) { return make_glyphs({.seed = options.seed}); }},
      {{"moons", {1, 1, 2}, 2, 2'000, 1'000, "points of two half circles, made from a seed", true},
       [](const DatasetOptions& options) { return make_moons({.seed = options.seed}); }},
      {{"rings", {1, 1, 2}, 2, 2'000, 1'000, "points of two circles, made from a seed", true},
       [](const DatasetOptions& options) { return make_rings({.seed = options.seed}); }},
      {{"clusters",
        {1, 1, 64},
        10,
        6'000,
        2'000,
        "points of 4 clusters to a class, made from a seed",
        true},
       [](const DatasetOptions& options) { return make_clusters({.seed = options.seed}); }},
  };
  return all;
}

}  // namespace

const std::vector<DatasetInfo>& dataset_infos() {
  static const std::vector<DatasetInfo> infos = [] {
    std::vector<DatasetInfo> result;
    for (const Entry& entry : entries()) result.push_back(entry.info);
    return result;
  }();
  return infos;
}

Dataset load_dataset(std::string_view name, const DatasetOptions& options) {
  for (const Entry& entry : entries()) {
    if (entry.info.name == name) return entry.load(options);
  }
  Names names;
  for (const DatasetInfo& info : dataset_infos()) names.push_back(info.name);
  throw ValueError(message("load_dataset: expected ", joined(names), ", got ", name));
}

}  // namespace isotape
