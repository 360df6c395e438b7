#include <doctest/doctest.h>
#include <cstdlib>
#include <string>
#include <support/idx_files.hpp>
#include <support/scratch_folder.hpp>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/datasets/registry.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("datasets/registry");

namespace {

// A data folder of its own: as working folder, with $ISOTAPE_DATA unset, and both put back.
class Surroundings {
 public:
  explicit Surroundings(const ScratchFolder& folder) {
    if (const char* value = std::getenv("ISOTAPE_DATA")) variable_ = value;
    unsetenv("ISOTAPE_DATA");
    std::filesystem::current_path(folder.path());
  }
  Surroundings(const Surroundings&) = delete;
  Surroundings& operator=(const Surroundings&) = delete;
  Surroundings(Surroundings&&) = delete;
  Surroundings& operator=(Surroundings&&) = delete;
  ~Surroundings() {
    std::filesystem::current_path(folder_);
    unsetenv("ISOTAPE_DATA");
    if (!variable_.empty()) setenv("ISOTAPE_DATA", variable_.c_str(), 1);
  }

 private:
  std::filesystem::path folder_ = std::filesystem::current_path();
  std::string variable_;
};

// A set of 12 training images and 1 test image in MNIST's files; the first label tells them apart.
void put_mnist(const ScratchFolder& folder, const std::string& at, std::uint8_t first_label) {
  std::vector<std::uint8_t> labels(12, 1);
  labels[0] = first_label;
  folder.put(at + "/train-images-idx3-ubyte", idx_images(12, 1, 2, std::vector<std::uint8_t>(24)));
  folder.put(at + "/train-labels-idx1-ubyte.gz", gzipped(idx_labels(labels)));
  folder.put(at + "/t10k-images-idx3-ubyte.gz", gzipped(idx_images(1, 1, 2, {3, 4})));
  folder.put(at + "/t10k-labels-idx1-ubyte", idx_labels({0}));
}

}  // namespace

TEST_CASE("load_dataset: looks in the chosen folder, $ISOTAPE_DATA, ./data, in this order") {
  const ScratchFolder folder;
  const Surroundings surroundings(folder);
  const auto first_label = [&](const std::string& chosen) {
    return load_dataset("mnist", {.folder = chosen}).train.labels[0];
  };
  put_mnist(folder, "data", 1);
  CHECK(first_label("") == 1);
  put_mnist(folder, "data/MNIST/raw", 2);
  CHECK(first_label("") == 2);
  put_mnist(folder, "variable", 3);
  setenv("ISOTAPE_DATA", "variable", 1);
  CHECK(first_label("") == 3);
  put_mnist(folder, "variable/MNIST/raw", 4);
  CHECK(first_label("") == 4);
  put_mnist(folder, "chosen", 5);
  CHECK(first_label("chosen") == 5);
  put_mnist(folder, "chosen/MNIST/raw", 6);
  CHECK(first_label("chosen") == 6);
  setenv("ISOTAPE_DATA", "", 1);
  CHECK(first_label("") == 2);

  const Dataset dataset = load_dataset("mnist", {.folder = "chosen"});
  CHECK(dataset.folder == "chosen/MNIST/raw");
  CHECK(dataset.name == "mnist");
  CHECK(dataset.classes() == 10);
  CHECK(dataset.image_shape() == Shape{1, 2, 1});
  CHECK(dataset.train.size() == 12);
  CHECK(dataset.test.images.at(1) == 4);
  put_mnist(folder, "chosen/FashionMNIST/raw", 7);
  CHECK(load_dataset("fashion-mnist", {.folder = "chosen"}).train.labels[0] == 7);
}

TEST_CASE("load_dataset: for missing data names what was looked for, where, and the remedy") {
  const ScratchFolder folder;
  const Surroundings surroundings(folder);
  folder.put("chosen/x", "");
  const auto error_for = [&](std::string_view name, const std::string& chosen) {
    return folder.error<DataError>([&] { load_dataset(name, {.folder = chosen}); });
  };
  CHECK(error_for("mnist", "") ==
        "load_dataset: mnist: expected train-images-idx3-ubyte, train-labels-idx1-ubyte, "
        "t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or .gz), found none of them in "
        "data/MNIST/raw, data; scripts/fetch-data.sh mnist DIR fetches them");
  setenv("ISOTAPE_DATA", "variable", 1);
  CHECK(error_for("cifar10", "chosen") ==
        "load_dataset: cifar10: expected data_batch_1.bin, data_batch_2.bin, data_batch_3.bin, "
        "data_batch_4.bin, data_batch_5.bin, test_batch.bin, found none of them in "
        "chosen/cifar-10-batches-bin, chosen, variable/cifar-10-batches-bin, variable, "
        "data/cifar-10-batches-bin, data; scripts/fetch-data.sh cifar10 DIR fetches them");
  const std::string remedy =
      ", to look in for train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, "
      "t10k-labels-idx1-ubyte (or .gz); scripts/fetch-data.sh mnist DIR fetches them";
  CHECK(error_for("mnist", "none") ==
        "load_dataset: none: expected a data folder, found nothing" + remedy);
  CHECK(error_for("mnist", "chosen/x") ==
        "load_dataset: chosen/x: expected a data folder, found a file" + remedy);
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
    CHECK(error_for("fashion-mnist", "")
              .ends_with("found none of them in variable/FashionMNIST/raw, variable, "
                         "data/FashionMNIST/raw, data, "
                         "/usr/share/datasets/fashion-mnist; Debian's package "
                         "dataset-fashion-mnist brings them"));
  }
}

TEST_CASE("load_dataset: opens all four files of a set, and compares them") {
  const ScratchFolder folder;
  const Surroundings surroundings(folder);
  const auto error = [&] {
    return folder.error<DataError>([&] { load_dataset("mnist", {.folder = folder.path()}); });
  };
  put_mnist(folder, "MNIST/raw", 1);
  std::filesystem::remove(folder / "MNIST/raw/t10k-labels-idx1-ubyte");
  CHECK(error() ==
        "load_idx: DIR/MNIST/raw/t10k-labels-idx1-ubyte: expected a file, found nothing");
  folder.put("MNIST/raw/t10k-labels-idx1-ubyte", idx_labels({10}));
  CHECK(error() ==
        "load_idx: DIR/MNIST/raw/t10k-labels-idx1-ubyte: offset 8: expected a label in 0..9, found "
        "10");
  put_mnist(folder, "MNIST/raw", 1);
  folder.put("MNIST/raw/t10k-images-idx3-ubyte", idx_images(1, 1, 3, {1, 2, 3}));
  CHECK(error() ==
        "load_dataset: DIR/MNIST/raw/t10k-images-idx3-ubyte: expected images of 1 x 2 pixels, as "
        "in the training set, found 1 x 3");
}

TEST_CASE("load_dataset: tells MNIST and Fashion-MNIST apart by their first labels") {
  const ScratchFolder folder;
  const Surroundings surroundings(folder);
  put_mnist(folder, "data", 1);
  const auto put_labels = [&](const std::vector<std::uint8_t>& labels) {
    folder.put("data/train-labels-idx1-ubyte", idx_labels(labels));
  };
  const auto error_for = [&](std::string_view name) {
    return folder.error<DataError>([&] { load_dataset(name, {.folder = "data"}); });
  };
  put_labels({9, 0, 0, 3, 0, 2, 7, 2, 5, 5, 0, 0});
  CHECK(error_for("mnist") ==
        "load_dataset: data: expected the images of mnist, found those of fashion-mnist");
  CHECK(error_for("fashion-mnist") == "nothing thrown");
  put_labels({5, 0, 4, 1, 9, 2, 1, 3, 1, 4, 0, 0});
  CHECK(error_for("fashion-mnist") ==
        "load_dataset: data: expected the images of fashion-mnist, found those of mnist");
  CHECK(error_for("mnist") == "nothing thrown");
}

TEST_CASE("load_dataset: refuses an unknown name and lists the known ones") {
  CHECK_THROWS_WITH_AS(load_dataset("imagenet"),
                       "load_dataset: expected mnist, fashion-mnist, cifar10, glyphs, moons, "
                       "rings, clusters, got imagenet",
                       ValueError);
}

TEST_CASE("dataset_infos: say what the sets that are made turn out to be") {
  int made = 0;
  for (const DatasetInfo& info : dataset_infos()) {
    CAPTURE(info.name);
    CHECK_FALSE(info.description.empty());
    if (info.name == "mnist" || info.name == "fashion-mnist" || info.name == "cifar10") continue;
    const Dataset dataset = load_dataset(info.name);
    CHECK(dataset.name == info.name);
    CHECK(dataset.image_shape() == info.image);
    CHECK(dataset.classes() == info.classes);
    CHECK(dataset.train.size() == info.train);
    CHECK(dataset.test.size() == info.test);
    CHECK(dataset.folder.empty());
    CHECK(dataset.warnings.empty());
    ++made;
  }
  CHECK(made == 4);
}

TEST_SUITE_END();
