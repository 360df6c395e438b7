#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/low_rank.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/principal_components.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/principal_components");

namespace {

// Points with deviations 4, 2 and 1 along three orthonormal directions, about a centre.
struct Cloud {
  Tensor centre;
  Tensor axes;  // [3, m]
  Tensor points;
};
Cloud cloud(std::int64_t n, std::int64_t m) {
  Rng rng(3);
  Cloud c{
      random_normal(rng, {m}, 1, DType::f64), random_orthogonal(rng, {3, m}, 1, DType::f64), {}};
  Tensor inner = random_normal(rng, {n, 3}, 1, DType::f64);
  for (std::int64_t i = 0; i < n; ++i) {
    inner.write<double>()[3 * i] *= 4;
    inner.write<double>()[3 * i + 1] *= 2;
  }
  c.points = matmul(inner, c.axes).value().clone();
  for (std::int64_t i = 0; i < n * m; ++i) c.points.write<double>()[i] += c.centre.at(i % m);
  return c;
}

}  // namespace

TEST_CASE("principal_components: finds centre, directions and variances of a cloud") {
  const Cloud c = cloud(20000, 6);
  const PrincipalComponents found = principal_components(c.points, 3);
  CHECK(max_abs_diff(found.mean, c.centre) < 0.1);
  const double variances[] = {16, 4, 1};
  const Tensor cosines = matmul(found.directions, c.axes, {.trans_b = true}).value();
  for (std::int64_t k = 0; k < 3; ++k) {
    CHECK(found.variances[static_cast<std::size_t>(k)] ==
          doctest::Approx(variances[k]).epsilon(0.05));
    CHECK(std::abs(cosines.at(3 * k + k)) > 0.999);
  }
}

TEST_CASE("principal_components: directions are orthonormal, their signs settled") {
  for (const Shape& shape : {Shape{30, 5}, Shape{4, 9}, Shape{1, 3}}) {
    Rng rng(5);
    const Tensor a = random_normal(rng, shape, 1, DType::f64);
    const std::int64_t count = std::min(shape[0], shape[1]);
    const Tensor q = principal_components(a, count).directions;
    CHECK(max_abs_diff(matmul(q, q, {.trans_b = true}).value(), Tensor::eye(count, DType::f64)) <=
          1e-14);
    for (std::int64_t k = 0; k < count; ++k) {
      double largest = 0;
      for (std::int64_t j = 0; j < shape[1]; ++j) {
        const double entry = q.at(k * shape[1] + j);
        if (std::abs(entry) > std::abs(largest)) largest = entry;
      }
      CHECK(largest > 0);
    }
  }
}

TEST_CASE("principal_components: what is left out is the least projection loss") {
  Rng rng(7);
  const Tensor a = random_normal(rng, {40, 6}, 1, DType::f64);
  const PrincipalComponents all = principal_components(a, 6);
  for (const std::int64_t k : {1, 3, 5}) {
    const PrincipalComponents some = principal_components(a, k);
    double tail = 0;
    for (auto i = static_cast<std::size_t>(k); i < 6; ++i) tail += all.variances[i];
    Tensor b = some.mean.clone();
    for (std::int64_t j = 0; j < 6; ++j) b.write<double>()[j] *= -1;
    const Tensor w = matmul(some.directions, some.directions, {.trans_a = true}).value();
    CHECK(projection_loss(a, w, b).value().item() == doctest::Approx(tail).epsilon(1e-12));
    Tensor rest = some.nearest(a).clone();
    add_in_place(rest, a, -1);
    CHECK(std::pow(frobenius_norm(rest), 2) / 40 == doctest::Approx(tail).epsilon(1e-12));
  }
  CHECK(max_abs_diff(all.nearest(a), a) <= 1e-13);
}

TEST_CASE(
    "principal_components: coordinates of f32 points are uncorrelated, with those variances") {
  const Cloud c = cloud(500, 8);
  const Tensor a = c.points.to(DType::f32);
  const PrincipalComponents found = principal_components(a, 2);
  const Tensor inner = found.coordinates(a);
  CHECK(inner.shape() == Shape{500, 2});
  const Tensor gram = matmul(inner, inner, {.trans_a = true}).value();
  CHECK(gram.at(0) / 500 == doctest::Approx(found.variances[0]).epsilon(1e-10));
  CHECK(gram.at(3) / 500 == doctest::Approx(found.variances[1]).epsilon(1e-10));
  CHECK(std::abs(gram.at(1)) / 500 <= 1e-10);
}

TEST_CASE("principal_components: rejects what has none") {
  CHECK_THROWS_WITH_AS(principal_components(Tensor::zeros({3}), 1),
                       "principal_components: expected a matrix [n, m], got [3]", ShapeError);
  CHECK_THROWS_WITH_AS(principal_components(Tensor::zeros({3, 2}), 3),
                       "principal_components: expected a count in 1..2, got 3", ValueError);
  CHECK_THROWS_WITH_AS(
      principal_components(Tensor::full({2, 2}, std::numeric_limits<double>::quiet_NaN()), 1),
      "principal_components: expected finite entries", NumericError);
  CHECK_THROWS_WITH_AS(principal_components(Tensor::zeros({3, 2}), 1).coordinates(Tensor({4, 3})),
                       "principal_components: expected points [n, 2], got [4, 3]", ShapeError);
}

TEST_SUITE_END();
