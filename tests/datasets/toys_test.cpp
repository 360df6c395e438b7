#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/datasets/toys.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("datasets/toys");

namespace {

// The least distance between points of different classes.
double gap(const Split& split) {
  const auto* p = split.images.data<float>();
  double least = 1e9;
  for (std::int64_t i = 0; i < split.size(); ++i) {
    for (std::int64_t j = 0; j < i; ++j) {
      if (split.labels[i] == split.labels[j]) continue;
      least = std::min(least, double(std::hypot(p[2 * i] - p[2 * j], p[2 * i + 1] - p[2 * j + 1])));
    }
  }
  return least;
}

}  // namespace

TEST_CASE("moons and rings: without noise the classes are 1/2 apart") {
  for (const auto make : {make_moons, make_rings}) {
    const Dataset dataset = make({.train = 2000, .noise = 0});
    CAPTURE(dataset.name);
    CHECK(gap(dataset.train) >= 0.5 - 1e-6);
    CHECK(gap(dataset.train) < 0.501);
  }
}

TEST_CASE("moons and rings: points of two balanced classes, as images of one pixel") {
  for (const auto make : {make_moons, make_rings}) {
    const Dataset dataset = make({.train = 100, .test = 50});
    CHECK(dataset.train.images.shape() == Shape{100, 1, 1, 2});
    CHECK(dataset.train.images.dtype() == DType::f32);
    CHECK(dataset.test.size() == 50);
    CHECK(dataset.classes() == 2);
    CHECK(std::count(dataset.train.labels.begin(), dataset.train.labels.end(), 0) == 50);
    check_split(dataset.name, dataset.train, 2);
  }
}

TEST_CASE("rings: the radii are 1 and 1/2, and the noise has the deviation asked for") {
  for (const double noise : {0.0, 0.1}) {
    const Dataset dataset = make_rings({.train = 20000, .noise = noise});
    double square[2] = {};
    for (std::int64_t i = 0; i < 20000; ++i) {
      const double x = dataset.train.images.at(2 * i);
      const double y = dataset.train.images.at(2 * i + 1);
      square[dataset.train.labels[i]] += (x * x + y * y) / 10000;
    }
    CHECK(square[0] == doctest::Approx(1 + 2 * noise * noise).epsilon(0.01));
    CHECK(square[1] == doctest::Approx(0.25 + 2 * noise * noise).epsilon(0.02));
  }
}

TEST_CASE("moons: a seed gives the same points, another one others; train and test differ") {
  const auto first = [](std::uint64_t seed) {
    return make_moons({.seed = seed}).train.images.at(0);
  };
  CHECK(first(1) == first(1));
  CHECK(first(1) != first(2));
  const Dataset dataset = make_moons();
  CHECK(dataset.train.images.at(0) != dataset.test.images.at(0));
}

TEST_CASE("moons and rings: refuse sizes and noise out of range") {
  CHECK_THROWS_WITH_AS(make_moons({.train = 0}),
                       "moons: expected at least one training and one test point, got 0 and 1000",
                       ValueError);
  CHECK_THROWS_WITH_AS(make_rings({.noise = -1}), "rings: expected a noise >= 0, got -1",
                       ValueError);
  CHECK_THROWS_WITH_AS(make_rings({.noise = NAN}), "rings: expected a noise >= 0, got nan",
                       ValueError);
}

TEST_SUITE_END();
