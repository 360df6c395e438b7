#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/datasets/clusters.hpp>
#include <isotape/datasets/registry.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("datasets/clusters");

namespace {

double distance(const Split& a, std::int64_t i, const Split& b, std::int64_t j) {
  const std::int64_t d = a.images.dim(3);
  double square = 0;
  for (std::int64_t k = 0; k < d; ++k) {
    const double apart = a.images.at(i * d + k) - b.images.at(j * d + k);
    square += apart * apart;
  }
  return std::sqrt(square);
}

}  // namespace

TEST_CASE("clusters: balanced classes in turn, as images of one pixel") {
  const Dataset dataset = make_clusters({.train = 200, .test = 70});
  CHECK(dataset.train.images.shape() == Shape{200, 1, 1, 64});
  CHECK(dataset.train.images.dtype() == DType::f32);
  CHECK(dataset.test.size() == 70);
  CHECK(dataset.classes() == 10);
  for (int k = 0; k < 10; ++k) {
    CHECK(std::count(dataset.train.labels.begin(), dataset.train.labels.end(), k) == 20);
  }
  check_split(dataset.name, dataset.train, 10);
}

TEST_CASE("clusters: without noise there are as many points as centres, those of the test too") {
  const Dataset dataset =
      make_clusters({.train = 400, .test = 400, .classes = 3, .per_class = 2, .d = 5, .noise = 0});
  std::vector<std::int64_t> first;  // a point of each place that was met
  for (std::int64_t i = 0; i < 400; ++i) {
    const bool is_known = std::any_of(first.begin(), first.end(), [&](std::int64_t j) {
      return distance(dataset.train, i, dataset.train, j) == 0;
    });
    if (!is_known) first.push_back(i);
  }
  CHECK(first.size() == 6);
  for (std::int64_t i = 0; i < 400; ++i) {
    const auto found = std::find_if(first.begin(), first.end(), [&](std::int64_t j) {
      return distance(dataset.test, i, dataset.train, j) == 0;
    });
    REQUIRE(found != first.end());
    CHECK(dataset.train.labels[static_cast<std::size_t>(*found)] ==
          dataset.test.labels[static_cast<std::size_t>(i)]);
  }
}

TEST_CASE("clusters: centres and points have the deviations asked for") {
  const ClusterOptions options{.train = 20000, .test = 1, .per_class = 40, .noise = 0.3};
  const Dataset dataset = make_clusters(options);
  double square = 0;
  for (std::int64_t k = 0; k < dataset.train.images.size(); ++k) {
    square += dataset.train.images.at(k) * dataset.train.images.at(k);
  }
  square /= static_cast<double>(dataset.train.images.size());
  CHECK(square == doctest::Approx(0.55 * 0.55 + 0.3 * 0.3).epsilon(0.02));
}

TEST_CASE("clusters: a seed gives the same points, another one others; by name too") {
  const auto first = [](std::uint64_t seed) {
    return make_clusters({.train = 1, .test = 1, .seed = seed}).train.images.at(0);
  };
  CHECK(first(1) == first(1));
  CHECK(first(1) != first(2));
  const Dataset named = load_dataset("clusters", {.seed = 1});
  CHECK(named.train.size() == 6000);
  CHECK(named.train.images.at(0) == first(1));
}

TEST_CASE("clusters: refuse sizes and deviations out of range") {
  CHECK_THROWS_WITH_AS(
      make_clusters({.test = 0}),
      "clusters: expected at least one training and one test point, got 6000 and 0", ValueError);
  CHECK_THROWS_WITH_AS(
      make_clusters({.per_class = 0}),
      "clusters: expected at least one class, cluster per class and dimension, got "
      "10, 0 and 64",
      ValueError);
  CHECK_THROWS_WITH_AS(make_clusters({.noise = -1}),
                       "clusters: expected a spread and a noise >= 0, got -1", ValueError);
}

TEST_SUITE_END();
