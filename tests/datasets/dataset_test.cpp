#include <doctest/doctest.h>
#include <algorithm>
#include <limits>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/datasets/dataset.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("datasets/dataset");

namespace {

// Image i is one pixel of value i, its label i % 10.
Split counting(std::int64_t count) {
  Split split;
  split.images = Tensor({count, 1, 1, 1}, DType::u8);
  for (std::int64_t i = 0; i < count; ++i) {
    split.images.write<std::uint8_t>()[i] = static_cast<std::uint8_t>(i);
    split.labels.push_back(static_cast<std::int32_t>(i % 10));
  }
  return split;
}

}  // namespace

TEST_CASE("split: pixels are scaled to [0, 1], values of f32 are not") {
  const Split split = counting(256);
  const Tensor pixels = split.pixels(50, 52);
  CHECK(pixels.shape() == Shape{2, 1, 1, 1});
  CHECK(pixels.at(0) == 50 / 255.0F);
  CHECK(pixels.at(1) == 51 / 255.0F);
  CHECK(split.pixels(255, 256).item() == 1);
  const Split points{Tensor::of({-2, 3}, {1, 1, 1, 2}), {0}};
  CHECK(points.pixels(0, 1).at(0) == -2);
}

TEST_CASE("hold_out: every image lands on one side, with its label, in the old order") {
  const Split split = counting(200);
  const auto [kept, aside] = hold_out(split, 30, Rng(1));
  CHECK(kept.size() == 170);
  CHECK(aside.size() == 30);
  std::vector<int> seen(200, 0);
  for (const Split* side : {&kept, &aside}) {
    CHECK(side->images.shape() == Shape{side->size(), 1, 1, 1});
    std::int64_t previous = -1;
    for (std::int64_t i = 0; i < side->size(); ++i) {
      const auto pixel = static_cast<std::int64_t>(side->images.at(i));
      CHECK(side->labels[i] == pixel % 10);
      CHECK(pixel > previous);
      previous = pixel;
      ++seen[pixel];
    }
  }
  CHECK(std::count(seen.begin(), seen.end(), 1) == 200);
}

TEST_CASE("hold_out: the choice is the seed's") {
  const Split split = counting(200);
  CHECK(hold_out(split, 30, Rng(1)).second.images.at(0) ==
        hold_out(split, 30, Rng(1)).second.images.at(0));
  const auto pixels = [&](int seed) {
    const Tensor images = hold_out(split, 30, Rng(seed)).second.images;
    return std::vector<std::uint8_t>(images.data<std::uint8_t>(),
                                     images.data<std::uint8_t>() + images.size());
  };
  CHECK(pixels(1) == pixels(1));
  CHECK(pixels(1) != pixels(2));
}

TEST_CASE("hold_out: leaves something on both sides") {
  const Split split = counting(5);
  CHECK_THROWS_WITH_AS(hold_out(split, 0, Rng(1)),
                       "hold_out: expected 1 to 4 images to set aside, got 0", ValueError);
  CHECK_THROWS_WITH_AS(hold_out(split, 5, Rng(1)),
                       "hold_out: expected 1 to 4 images to set aside, got 5", ValueError);
}

TEST_CASE("check_split: refuses what is not labelled images") {
  const auto check = [](const Tensor& images, std::vector<std::int32_t> labels) {
    check_split("x", {images, std::move(labels)}, 3);
  };
  check(Tensor::zeros({2, 1, 1, 1}), {0, 2});
  CHECK_THROWS_WITH_AS(check(Tensor(), {}), "x: expected images [N, H, W, C], got []", ValueError);
  CHECK_THROWS_WITH_AS(check(Tensor::zeros({2, 4}), {0, 1}),
                       "x: expected images [N, H, W, C], got [2, 4]", ValueError);
  CHECK_THROWS_WITH_AS(check(Tensor::zeros({1, 1, 1, 1}, DType::f64), {0}),
                       "x: expected images of u8 or f32, got f64", ValueError);
  CHECK_THROWS_WITH_AS(check(Tensor::zeros({0, 1, 1, 1}), {}),
                       "x: expected at least one pixel, got images [0, 1, 1, 1]", ValueError);
  CHECK_THROWS_WITH_AS(check(Tensor::zeros({2, 1, 1, 1}), {0}),
                       "x: expected 2 labels, one for each image, got 1", ValueError);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(check(Tensor::full({2, 1, 1, 1}, nan), {0, 1}),
                       "x: expected finite pixels, got NaN or infinity", ValueError);
  CHECK_THROWS_WITH_AS(check(Tensor::zeros({2, 1, 1, 1}), {0, 3}),
                       "x: expected labels in 0..2, got 3 for image 1", ValueError);
  CHECK_THROWS_WITH_AS(check(Tensor::zeros({2, 1, 1, 1}), {-1, 0}),
                       "x: expected labels in 0..2, got -1 for image 0", ValueError);
}

TEST_SUITE_END();
