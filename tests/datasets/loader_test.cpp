#include <doctest/doctest.h>
#include <algorithm>
#include <chrono>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/memory.hpp>
#include <isotape/datasets/loader.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("datasets/loader");

namespace {

// Image i is h x w x 2 pixels, the first of value i, the others 1, 2, 3, ...; its label is i.
Split numbered(std::int64_t count, std::int64_t height, std::int64_t width) {
  Split split;
  split.images = Tensor({count, height, width, 2}, DType::u8);
  const std::int64_t size = height * width * 2;
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t k = 0; k < size; ++k) {
      split.images.write<std::uint8_t>()[i * size + k] =
          static_cast<std::uint8_t>(k == 0 ? i : k % 250 + 1);
    }
    split.labels.push_back(static_cast<std::int32_t>(i));
  }
  return split;
}

struct Copy {
  std::vector<float> images;
  std::vector<std::int32_t> labels;
  std::int64_t epoch;
  std::int64_t index;
  friend bool operator==(const Copy&, const Copy&) = default;
};

Copy copy_of(const Batch& batch) {
  return {{batch.images.data<float>(), batch.images.data<float>() + batch.images.size()},
          batch.labels,
          batch.epoch,
          batch.index};
}

std::vector<Copy> take(BatchLoader& loader, int count) {
  std::vector<Copy> copies;
  copies.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) copies.push_back(copy_of(loader.next()));
  return copies;
}

const LoaderOptions augmented{.batch = 4, .crop_padding = 2, .flip = true};

}  // namespace

TEST_CASE("loader: an epoch shows every image once, with its label, the last batch shorter") {
  const Split split = numbered(10, 3, 3);
  BatchLoader loader(split, Rng(1), {.batch = 4});
  CHECK(loader.batches_per_epoch() == 3);
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::set<std::int32_t> seen;
    for (int index = 0; index < 3; ++index) {
      const Batch& batch = loader.next();
      CHECK(batch.epoch == epoch);
      CHECK(batch.index == index);
      const std::int64_t count = index < 2 ? 4 : 2;
      CHECK(batch.images.shape() == Shape{count, 3, 3, 2});
      REQUIRE(batch.labels.size() == static_cast<std::size_t>(count));
      for (std::int64_t i = 0; i < count; ++i) {
        seen.insert(batch.labels[i]);
        CHECK(batch.images.at(i * 18) == static_cast<float>(batch.labels[i]) / 255.0F);
        CHECK(batch.images.at(i * 18 + 5) == 6 / 255.0F);
      }
    }
    CHECK(seen.size() == 10);
  }
}

TEST_CASE("loader: without shuffling the images come in their own order") {
  BatchLoader loader(numbered(5, 1, 1), Rng(1), {.batch = 2, .shuffle = false});
  for (int epoch = 0; epoch < 2; ++epoch) {
    CHECK(loader.next().labels == std::vector<std::int32_t>{0, 1});
    CHECK(loader.next().labels == std::vector<std::int32_t>{2, 3});
    CHECK(loader.next().labels == std::vector<std::int32_t>{4});
  }
}

TEST_CASE("loader: the order is the seed's, and another one each epoch") {
  const auto labels = [](int seed, std::int64_t epoch) {
    BatchLoader loader(numbered(50, 1, 1), Rng(seed), {.batch = 50});
    loader.seek({epoch, 0});
    return loader.next().labels;
  };
  CHECK(labels(1, 0) == labels(1, 0));
  CHECK(labels(1, 0) != labels(1, 1));
  CHECK(labels(1, 0) != labels(2, 0));
}

TEST_CASE("loader: f32 values pass unscaled, and a batch may exceed the split") {
  const Split points{Tensor::of({-2, 3, 0.5, 7}, {2, 1, 1, 2}), {1, 0}};
  BatchLoader loader(points, Rng(1), {.batch = 100, .shuffle = false});
  CHECK(loader.batches_per_epoch() == 1);
  CHECK(copy_of(loader.next()) == Copy{{-2, 3, 0.5, 7}, {1, 0}, 0, 0});
}

TEST_CASE("loader: seek continues the sequence bit for bit from any batch") {
  const Split split = numbered(10, 5, 4);
  BatchLoader straight(split, Rng(7), augmented);
  const std::vector<Copy> all = take(straight, 9);
  for (int start = 0; start < 9; ++start) {
    CAPTURE(start);
    BatchLoader resumed(split, Rng(7), augmented);
    resumed.seek({start / 3, start % 3});
    CHECK(resumed.position() == BatchLoader::Position{start / 3, start % 3});
    CHECK(take(resumed, 9 - start) == std::vector<Copy>(all.begin() + start, all.end()));
    resumed.seek({0, 0});  // back again, with batches prepared in the meantime
    CHECK(take(resumed, 9) == all);
  }
}

TEST_CASE("loader: position is that of the batch to come") {
  BatchLoader loader(numbered(10, 1, 1), Rng(1), {.batch = 4});
  CHECK(loader.position() == BatchLoader::Position{0, 0});
  take(loader, 2);
  CHECK(loader.position() == BatchLoader::Position{0, 2});
  take(loader, 1);
  CHECK(loader.position() == BatchLoader::Position{1, 0});
}

TEST_CASE("loader: augmentation does not depend on the batch size") {
  const Split split = numbered(12, 6, 6);
  std::vector<std::vector<float>> images[2];
  for (const int k : {0, 1}) {
    images[k].resize(12);
    LoaderOptions options = augmented;
    options.batch = k == 0 ? 5 : 12;
    BatchLoader loader(split, Rng(3), options);
    for (std::int64_t b = 0; b < loader.batches_per_epoch(); ++b) {
      const Batch& batch = loader.next();
      for (std::size_t i = 0; i < batch.labels.size(); ++i) {
        const float* begin = batch.images.data<float>() + i * 72;
        images[k][batch.labels[i]].assign(begin, begin + 72);
      }
    }
  }
  CHECK(images[0] == images[1]);
}

TEST_CASE("loader: crop and flip show a shifted, maybe mirrored image with zeros around it") {
  const Split split = numbered(1, 5, 4);
  const auto* source = split.images.data<std::uint8_t>();
  BatchLoader loader(split, Rng(5), augmented);
  std::set<int> shown;  // the 5 x 5 shifts, times two
  for (int epoch = 0; epoch < 500; ++epoch) {
    const Tensor image = loader.next().images;
    int matches = 0;
    for (int variant = 0; variant < 50; ++variant) {
      const int down = variant % 5 - 2;
      const int right = variant / 5 % 5 - 2;
      const bool mirrored = variant >= 25;
      bool same = true;
      for (int y = 0; y < 5; ++y) {
        for (int x = 0; x < 4; ++x) {
          const int from_y = y + down;
          const int from_x = (mirrored ? 3 - x : x) + right;
          const bool inside = 0 <= from_y && from_y < 5 && 0 <= from_x && from_x < 4;
          for (int c = 0; c < 2; ++c) {
            const float expected = inside ? source[(from_y * 4 + from_x) * 2 + c] / 255.0F : 0.0F;
            same = same && image.at((y * 4 + x) * 2 + c) == expected;
          }
        }
      }
      if (same) {
        ++matches;
        shown.insert(variant);
      }
    }
    CHECK(matches == 1);
  }
  CHECK(shown.size() == 50);
}

TEST_CASE("loader: a transform gets each image and its own generator") {
  const Split split = numbered(6, 1, 1);
  const auto draws = [&](std::int64_t batch_size) {
    LoaderOptions options{.batch = batch_size};
    options.transform = [](std::span<float> image, Rng& rng) {
      for (float& value : image) value = static_cast<float>(rng.uniform());
    };
    BatchLoader loader(split, Rng(1), options);
    std::set<double> values;
    for (std::int64_t b = 0; b < loader.batches_per_epoch(); ++b) {
      const Tensor images = loader.next().images;
      for (std::int64_t i = 0; i < images.size(); ++i) values.insert(images.at(i));
    }
    return values;
  };
  CHECK(draws(6).size() == 12);
  CHECK(draws(6) == draws(4));
}

TEST_CASE("loader: what its thread fails with is thrown by next, and seek clears it") {
  LoaderOptions options{.batch = 1, .shuffle = false};
  options.transform = [](std::span<float> image, Rng&) {
    if (image[0] == 3 / 255.0F) throw std::runtime_error("image 3");
  };
  BatchLoader loader(numbered(5, 1, 1), Rng(1), options);
  take(loader, 3);  // those before it still come
  CHECK_THROWS_WITH_AS(loader.next(), "image 3", std::runtime_error);
  CHECK_THROWS_WITH_AS(loader.next(), "image 3", std::runtime_error);
  loader.seek({0, 4});
  CHECK(loader.next().labels == std::vector<std::int32_t>{4});
}

TEST_CASE("loader: the steady state allocates no tensor memory") {
  BatchLoader loader(numbered(50, 8, 8), Rng(1), {.batch = 8});
  take(loader, 4);
  const MemoryStats before = memory_stats();
  take(loader, 40);
  CHECK(memory_stats().requests == before.requests);
}

TEST_CASE("loader: images that are kept are not overwritten") {
  BatchLoader loader(numbered(50, 2, 2), Rng(1), {.batch = 5});
  std::vector<Tensor> kept;
  std::vector<std::vector<std::int32_t>> labels;
  for (int i = 0; i < 10; ++i) {
    const Batch& batch = loader.next();
    kept.push_back(batch.images);
    labels.push_back(batch.labels);
  }
  for (int i = 0; i < 10; ++i) {
    for (std::int64_t k = 0; k < 5; ++k)
      CHECK(kept[i].at(k * 8) == static_cast<float>(labels[i][k]) / 255.0F);
  }
}

TEST_CASE("loader: may be dropped and moved at any moment") {
  const Split split = numbered(50, 8, 8);
  for (int taken = 0; taken < 20; ++taken) {
    BatchLoader loader(split, Rng(1), {.batch = 4});
    take(loader, taken % 5);
    BatchLoader moved = std::move(loader);
    take(moved, 1);
    moved.seek({3, 0});
  }
  LoaderOptions slow{.batch = 50};
  slow.transform = [](std::span<float>, Rng&) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  };
  BatchLoader loader(split, Rng(1), slow);
  loader.seek({1, 0});
  loader.seek({2, 0});
  CHECK(loader.next().epoch == 2);
}

TEST_CASE("loader: refuses options that make no batch") {
  const Split split = numbered(5, 2, 3);
  const auto make = [&](LoaderOptions options) { BatchLoader(split, Rng(1), std::move(options)); };
  CHECK_THROWS_WITH_AS(make({.batch = 0}), "loader: expected a batch of at least one image, got 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(make({.crop_padding = 3}), "loader: expected a crop padding in 0..2, got 3",
                       ValueError);
  CHECK_THROWS_WITH_AS(make({.crop_padding = -1}),
                       "loader: expected a crop padding in 0..2, got -1", ValueError);
  CHECK_THROWS_WITH_AS(BatchLoader(Split{}, Rng(1)), "loader: expected images [N, H, W, C], got []",
                       ValueError);
  BatchLoader loader(split, Rng(1), {.batch = 2});
  CHECK_THROWS_WITH_AS(loader.seek({0, 3}),
                       "loader: expected a position of epoch >= 0 and batch in 0..2, got epoch 0 "
                       "and batch 3",
                       ValueError);
  CHECK_THROWS_WITH_AS(loader.seek({-1, 0}),
                       "loader: expected a position of epoch >= 0 and batch in 0..2, got epoch -1 "
                       "and batch 0",
                       ValueError);
}

TEST_SUITE_END();
