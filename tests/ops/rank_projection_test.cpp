#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/ops/low_rank.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/rank_projection.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/rank_projection");

namespace {

Tensor normal(std::uint64_t seed, const Shape& shape) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, DType::f64);
}

// A matrix of rank r.
Tensor of_rank(std::uint64_t seed, std::int64_t m, std::int64_t n, std::int64_t r) {
  return matmul(normal(seed, {m, r}), normal(seed + 1, {r, n})).value();
}

double distance(const Tensor& a, const Tensor& b) {
  Tensor difference = a.clone();
  add_in_place(difference, b, -1);
  return frobenius_norm(difference);
}

}  // namespace

TEST_CASE("truncate_rank: has the golden value of rank 1, to 1e-11") {
  Tensor w({2, 2}, DType::f64);
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) w.write<double>()[2 * i + j] = std::cos(0.2 + 0.5 * i + 0.9 * j);
  }
  CHECK(max_abs_diff(truncate_rank(w, 1),
                     Tensor::of({1.0255037517, 0.296378000975, 0.698094818565, 0.201754451385},
                                {2, 2}, DType::f64)) <= 1e-11);
}

TEST_CASE("truncate_rank: has the rank asked for, at the distance of the tail") {
  for (const Shape& shape : {Shape{9, 9}, Shape{12, 5}, Shape{5, 12}}) {
    const Tensor w = normal(1, shape);
    const std::vector<double> sigma = singular_values(w);
    for (const std::int64_t rank : {1, 3, 5}) {
      const Tensor y = truncate_rank(w, rank);
      double tail = 0;
      for (auto k = static_cast<std::size_t>(rank); k < sigma.size(); ++k) {
        tail += sigma[k] * sigma[k];
      }
      CHECK(distance(w, y) == doctest::Approx(std::sqrt(tail)).epsilon(1e-12));
      const std::vector<double> kept = singular_values(y);
      for (std::size_t k = 0; k < kept.size(); ++k) {
        CHECK(std::abs(kept[k] - (k < static_cast<std::size_t>(rank) ? sigma[k] : 0)) <= 1e-13);
      }
    }
  }
  const Tensor whole = normal(2, {3, 4});
  CHECK(truncate_rank(whole, 3).shares_storage_with(whole));
}

TEST_CASE("nystrom_rank: is exact on a matrix of that rank, and of low rank on any") {
  Rng rng(3);
  const Tensor low = of_rank(4, 30, 20, 4);
  const Tensor same = nystrom_rank(low, 4, {.columns = 8, .replicas = 3}, rng);
  CHECK(distance(low, same) <= 1e-12 * frobenius_norm(low));

  for (const Shape& shape : {Shape{30, 20}, Shape{20, 30}, Shape{8, 25}}) {
    const Tensor any = normal(6, shape);
    const Tensor y = nystrom_rank(any, 4, {.columns = 16, .replicas = 3}, rng);
    CHECK(singular_values(y)[4] <= 1e-13);
    const double best = distance(any, truncate_rank(any, 4));
    CHECK(distance(any, y) >= best * (1 - 1e-13));
    CHECK(distance(any, y) <= frobenius_norm(any));
  }
}

TEST_CASE("nystrom_rank: with all columns and one replica is the truncation") {
  Rng rng(7);
  const Tensor w = normal(8, {12, 9});
  const Tensor y = nystrom_rank(w, 3, {.columns = 9, .replicas = 1}, rng);
  CHECK(distance(y, truncate_rank(w, 3)) <= 1e-12);
  const Tensor narrow = nystrom_rank(w.to(DType::f32), 3, {.columns = 9, .replicas = 1}, rng);
  CHECK(narrow.dtype() == DType::f32);
  CHECK(distance(narrow.to(DType::f64), y) <= 1e-5);
}

TEST_CASE("nystrom_rank: averages replicas that differ") {
  Rng rng(9);
  Tensor w = normal(10, {40, 40});
  add_in_place(w, of_rank(15, 40, 40, 5));
  double one = 0;
  double many = 0;
  for (int trial = 0; trial < 20; ++trial) {
    one += distance(w, nystrom_rank(w, 5, {.columns = 10, .replicas = 1}, rng));
    many += distance(w, nystrom_rank(w, 5, {.columns = 10, .replicas = 6}, rng));
  }
  CHECK(many < one);
}

TEST_CASE("nystrom_rank: finds the few columns that are not zero") {
  Tensor w = Tensor::zeros({30, 30}, DType::f64);
  for (const std::int64_t j : {3, 11, 29}) w.write<double>()[31 * j] = static_cast<double>(1 + j);
  Rng rng(16);
  for (int trial = 0; trial < 20; ++trial) {
    CHECK(max_abs_diff(nystrom_rank(w, 3, {.columns = 3, .replicas = 2}, rng), w) <= 1e-13);
  }
}

TEST_CASE("variance_ratios: are the shares of squared singular values") {
  const Tensor a = Tensor::of({3, 0, 0, 2, 0, 0}, {3, 2}, DType::f64);
  const std::vector<double> ratios = variance_ratios(a);
  REQUIRE(ratios.size() == 2);
  CHECK(ratios[0] == doctest::Approx(9.0 / 13).epsilon(1e-15));
  CHECK(ratios[1] == 1);
  CHECK(variance_ratios(of_rank(11, 50, 20, 3))[2] == doctest::Approx(1).epsilon(1e-13));
  CHECK(variance_ratios(Tensor::zeros({2, 3})) == std::vector<double>{1, 1});
}

TEST_CASE("projection_loss: its minimum over w of rank r and b is the variance of the tail") {
  const Tensor a = normal(12, {200, 7});
  const std::int64_t n = 200;
  Tensor centred = a.clone();
  Tensor shift = Tensor::zeros({7}, DType::f64);
  for (std::int64_t i = 0; i < a.size(); ++i) {
    shift.write<double>()[i % 7] -= a.at(i) / static_cast<double>(n);
  }
  for (std::int64_t i = 0; i < a.size(); ++i) centred.write<double>()[i] += shift.at(i % 7);
  const std::vector<double> sigma = singular_values(centred);
  // Of U diag(s) V^T = centred^T centred, rank r: the projector is U_r U_r^T.
  Tensor u({7, 7}, DType::f64);
  Tensor s({7}, DType::f64);
  Tensor vt({7, 7}, DType::f64);
  Tensor gram = matmul(centred, centred, {.trans_a = true}).value().clone();
  blas::svd<double>(7, 7, gram.write<double>(), s.write<double>(), u.write<double>(),
                    vt.write<double>());
  for (const std::int64_t rank : {1, 3, 6}) {
    const Tensor first = vt.rows(0, rank);
    const Tensor projector = matmul(first, first, {.trans_a = true}).value();
    double tail = 0;
    for (auto k = static_cast<std::size_t>(rank); k < sigma.size(); ++k) {
      tail += sigma[k] * sigma[k] / static_cast<double>(n);
    }
    CHECK(projection_loss(a, projector, shift).value().item() ==
          doctest::Approx(tail).epsilon(1e-12));
  }
}

TEST_CASE("rank projections: refuse what is out of range") {
  Rng rng(13);
  const Tensor w = normal(14, {6, 5});
  CHECK_THROWS_WITH_AS(truncate_rank(Tensor({3}), 1),
                       "truncate_rank: expected a matrix [m, n], got [3]", ShapeError);
  CHECK_THROWS_WITH_AS(truncate_rank(w, 0), "truncate_rank: expected rank >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(nystrom_rank(w, 3, {.columns = 2}, rng),
                       "nystrom_rank: expected columns in 3..5, got 2", ValueError);
  CHECK_THROWS_WITH_AS(nystrom_rank(w, 3, {.columns = 4, .replicas = 0}, rng),
                       "nystrom_rank: expected replicas >= 1, got 0", ValueError);
  Tensor bad = w.clone();
  bad.write<double>()[0] = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH_AS(truncate_rank(bad, 2), "truncate_rank: expected finite entries",
                       NumericError);
  CHECK_THROWS_WITH_AS(variance_ratios(bad), "variance_ratios: expected finite entries",
                       NumericError);
}

TEST_SUITE_END();
