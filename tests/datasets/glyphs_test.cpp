#include <doctest/doctest.h>
#include <algorithm>
#include <array>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/datasets/glyphs.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("datasets/glyphs");

namespace {

// Blurs by a box of 5 x 5, so that nearby strokes overlap.
std::vector<float> blurred(const std::uint8_t* image) {
  std::vector<float> result(784);
  for (int y = 0; y < 28; ++y) {
    for (int x = 0; x < 28; ++x) {
      for (int v = std::max(0, y - 2); v < std::min(28, y + 3); ++v) {
        for (int u = std::max(0, x - 2); u < std::min(28, x + 3); ++u) {
          result[y * 28 + x] += image[v * 28 + u];
        }
      }
    }
  }
  return result;
}

float distance2(const std::vector<float>& a, const std::vector<float>& b) {
  float sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

// Share of the test images whose nearest training image shows the same digit.
double nearest_neighbour_accuracy(const Dataset& dataset) {
  std::vector<std::vector<float>> train;
  for (std::int64_t i = 0; i < dataset.train.size(); ++i) {
    train.push_back(blurred(dataset.train.images.data<std::uint8_t>() + i * 784));
  }
  int right = 0;
  for (std::int64_t i = 0; i < dataset.test.size(); ++i) {
    const auto image = blurred(dataset.test.images.data<std::uint8_t>() + i * 784);
    const auto nearest = std::min_element(
        train.begin(), train.end(),
        [&](const auto& a, const auto& b) { return distance2(a, image) < distance2(b, image); });
    right += dataset.train.labels[nearest - train.begin()] == dataset.test.labels[i] ? 1 : 0;
  }
  return double(right) / double(dataset.test.size());
}

}  // namespace

TEST_CASE("glyphs: images like MNIST's, every digit equally often") {
  const Dataset dataset = make_glyphs({.train = 100, .test = 50});
  CHECK(dataset.image_shape() == Shape{28, 28, 1});
  CHECK(dataset.train.images.dtype() == DType::u8);
  CHECK(dataset.classes() == 10);
  CHECK(dataset.test.size() == 50);
  check_split("glyphs", dataset.train, 10);
  std::array<int, 10> counts{};
  for (const std::int32_t label : dataset.train.labels) ++counts.at(label);
  CHECK(counts == std::array<int, 10>{10, 10, 10, 10, 10, 10, 10, 10, 10, 10});
}

TEST_CASE("glyphs: every image holds ink, and none spills over the border") {
  const Dataset dataset = make_glyphs({.train = 2000, .test = 1});
  const auto* image = dataset.train.images.data<std::uint8_t>();
  double border = 0;
  for (int i = 0; i < 2000; ++i, image += 784) {
    CHECK(std::count_if(image, image + 784, [](int v) { return v > 100; }) >= 8);
    for (int k = 0; k < 28; ++k) border += image[k] + image[756 + k];
  }
  CHECK(border / (2000 * 56) < 20);  // noise, and few strokes
}

TEST_CASE("glyphs: an image is a function of seed and index, for any count and threads") {
  const auto bytes = [](const Split& split, std::int64_t count) {
    const auto* data = split.images.data<std::uint8_t>();
    return std::vector<std::uint8_t>(data, data + count * 784);
  };
  const int threads = num_threads();
  set_num_threads(1);
  const Dataset one = make_glyphs({.train = 300, .test = 100, .seed = 4});
  set_num_threads(3);
  const Dataset many = make_glyphs({.train = 500, .test = 100, .seed = 4});
  set_num_threads(threads);
  CHECK(bytes(one.train, 300) == bytes(many.train, 300));
  CHECK(bytes(one.test, 100) == bytes(many.test, 100));
  CHECK(bytes(one.train, 100) != bytes(one.test, 100));
  CHECK(bytes(make_glyphs({.train = 300, .test = 1, .seed = 5}).train, 300) !=
        bytes(one.train, 300));
}

TEST_CASE("glyphs: the digits can be told apart, but not too easily") {
  const double accuracy = nearest_neighbour_accuracy(make_glyphs({.train = 1000, .test = 200}));
  CHECK(accuracy > 0.8);
  CHECK(accuracy < 1);
}

TEST_CASE("glyphs: refuses an empty set") {
  CHECK_THROWS_WITH_AS(make_glyphs({.test = 0}),
                       "glyphs: expected at least one training and one test image, got 20000 and 0",
                       ValueError);
}

TEST_SUITE_END();
