#include <doctest/doctest.h>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/optim/ball.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("optim/ball");

namespace {

constexpr BallNorm both_norms[] = {BallNorm::l2, BallNorm::linf};
constexpr DType both_types[] = {DType::f32, DType::f64};

RowRngs row_rngs(std::int64_t n, std::uint64_t seed) {
  RowRngs rngs;
  for (std::int64_t i = 0; i < n; ++i) {
    rngs.push_back(Rng(seed).stream(static_cast<std::uint64_t>(i)));
  }
  return rngs;
}

// In long double: 64 bits of mantissa see what the f64 sum may have rounded away.
long double exact_l2(const Tensor& a, const Tensor& b, std::int64_t row) {
  const std::int64_t n = a.size() / a.dim(0);
  long double square = 0;
  for (std::int64_t k = row * n; k < (row + 1) * n; ++k) {
    const long double d = static_cast<long double>(a.at(k)) - static_cast<long double>(b.at(k));
    square += d * d;
  }
  return std::sqrt(square);
}

}  // namespace

TEST_CASE("row_distances: not below the exact distance, and not far above") {
  Rng rng(1);
  for (const DType dtype : both_types) {
    const Tensor a = random_normal(rng, {20, 301}, 1, dtype);
    const Tensor b = random_normal(rng, {20, 301}, 1e-3, dtype);
    const std::vector<double> l2 = row_distances(BallNorm::l2, a, b);
    const std::vector<double> linf = row_distances(BallNorm::linf, a, b);
    for (std::int64_t i = 0; i < 20; ++i) {
      const long double exact = exact_l2(a, b, i);
      CHECK(static_cast<long double>(l2[i]) >= exact);
      CHECK(static_cast<long double>(l2[i]) <= exact * (1 + 1e-12L));
      double largest = 0;
      for (std::int64_t k = 0; k < 301; ++k) {
        largest = std::max(largest, std::abs(a.at(i * 301 + k) - b.at(i * 301 + k)));
      }
      CHECK(linf[i] >= largest);
      CHECK(linf[i] <= largest * (1 + 1e-14));
    }
    CHECK(row_distances(BallNorm::l2, a, a)[0] == 0);
  }
}

TEST_CASE("project: what comes out is in ball and range, to the bit, and stays where it is") {
  Rng rng(2);
  for (const DType dtype : both_types) {
    for (const BallNorm norm : both_norms) {
      for (const double eps : {1e-9, 1e-4, 0.3, 1.58, 30.0}) {
        CAPTURE(eps);
        const Ball ball{norm, eps, {0, 1}};
        const Tensor x = random_uniform(rng, {8, 5, 7, 1}, 0, 1, dtype);
        Tensor y = x.clone();
        add_in_place(y, random_normal(rng, x.shape(), 2, dtype));
        project(ball, x, y);
        const std::vector<double> far = row_distances(norm, x, y);
        for (std::int64_t i = 0; i < 8; ++i) {
          CHECK(far[i] <= eps);
          if (norm == BallNorm::l2) CHECK(exact_l2(x, y, i) <= static_cast<long double>(eps));
        }
        for (std::int64_t k = 0; k < y.size(); ++k) {
          CHECK(y.at(k) >= 0);
          CHECK(y.at(k) <= 1);
        }
        Tensor again = y.clone();
        project(ball, x, again);
        CHECK(max_abs_diff(y, again) == 0);
      }
    }
  }
}

TEST_CASE("project: to the nearest point of the ball") {
  const Tensor x = Tensor::of({1, 1}, {1, 2}, DType::f64);
  Tensor y = Tensor::of({4, 5}, {1, 2}, DType::f64);
  project({BallNorm::l2, 1, {}}, x, y);
  CHECK(y.at(0) == doctest::Approx(1.6).epsilon(1e-12));
  CHECK(y.at(1) == doctest::Approx(1.8).epsilon(1e-12));
  y = Tensor::of({4, 1.5}, {1, 2}, DType::f64);
  project({BallNorm::linf, 1, {}}, x, y);
  CHECK(y.at(0) == doctest::Approx(2).epsilon(1e-12));
  CHECK(y.at(1) == 1.5);
  Tensor infinite = Tensor::of({HUGE_VAL, 0}, {1, 2}, DType::f64);
  CHECK_THROWS_WITH_AS(project({BallNorm::l2, 1, {}}, x, infinite),
                       "project: expected finite inputs, got a distance of inf", NumericError);
}

TEST_CASE("project: the nearest point of ball and range, where the range stops some entries") {
  Rng rng(8);
  for (int trial = 0; trial < 50; ++trial) {
    const Tensor x = random_uniform(rng, {1, 6}, 0, 1, DType::f64);
    Tensor y = x.clone();
    add_in_place(y, random_normal(rng, x.shape(), 1, DType::f64));
    const Ball ball{BallNorm::l2, 0.6, {0, 1}};
    Tensor nearest = y.clone();
    project(ball, x, nearest);
    // No point of the ball and the range is nearer: <y - p, z - p> <= 0 for all of them.
    for (int other = 0; other < 50; ++other) {
      Tensor z = x.clone();
      add_in_place(z, random_normal(rng, x.shape(), 0.5, DType::f64));
      project(ball, x, z);
      double product = 0;
      for (std::int64_t k = 0; k < 6; ++k) {
        product += (y.at(k) - nearest.at(k)) * (z.at(k) - nearest.at(k));
      }
      CHECK(product <= 1e-9);
    }
  }
}

TEST_CASE("random_start: uniform in the ball: r^d is uniform, directions cancel") {
  constexpr std::int64_t rows = 4000;
  for (const std::int64_t d : {2, 5}) {
    const Tensor x = Tensor::full({rows, d}, 0.5, DType::f64);
    RowRngs rngs = row_rngs(rows, 3);
    const double eps = 0.7;
    const Tensor y = random_start({BallNorm::l2, eps, {}}, x, rngs);
    const std::vector<double> far = row_distances(BallNorm::l2, x, y);
    std::vector<double> mean(static_cast<std::size_t>(d));
    std::vector<int> tenths(10);
    for (std::int64_t i = 0; i < rows; ++i) {
      CHECK(far[i] <= eps);
      const double u = std::pow(far[i] / eps, static_cast<double>(d));
      ++tenths[std::min(9, static_cast<int>(u * 10))];
      for (std::int64_t k = 0; k < d; ++k) mean[k] += y.at(i * d + k) - 0.5;
    }
    // 400 expected in each; the deviation is 19.
    for (const int count : tenths) CHECK(std::abs(count - 400) < 90);
    for (const double sum : mean) CHECK(std::abs(sum / rows) < 4.5 * eps / std::sqrt(rows));
  }
  RowRngs rngs = row_rngs(rows, 4);
  const Tensor x = Tensor::full({rows, 3}, 0.5, DType::f64);
  const Tensor y = random_start({BallNorm::linf, 0.2, {}}, x, rngs);
  int above = 0;
  for (std::int64_t k = 0; k < y.size(); ++k) above += y.at(k) > 0.6;  // a quarter
  CHECK(std::abs(above - 3000) < 250);
}

TEST_CASE("random_start: a row draws what it draws alone") {
  Rng rng(5);
  const Tensor x = random_uniform(rng, {6, 11}, 0, 1);
  RowRngs rngs = row_rngs(6, 6);
  RowRngs one = {rngs[4]};
  const Ball ball{BallNorm::l2, 0.4, {0, 1}};
  const Tensor all = random_start(ball, x, rngs);
  const Tensor alone = random_start(ball, x.rows(4, 5), one);
  CHECK(max_abs_diff(all.rows(4, 5).clone(), alone) == 0);
}

TEST_CASE("ascend: steps of the asked length along the steepest way; random for a zero gradient") {
  for (const DType dtype : both_types) {
    const Tensor gradient = Tensor::of({3, -4, 3e-30, -4e-30, 0, 0}, {3, 2}, dtype);
    RowRngs rngs = row_rngs(3, 7);
    Tensor y = Tensor::zeros({3, 2}, dtype);
    const double steps[] = {1, 2, 0.5};
    ascend(BallNorm::l2, gradient, steps, y, rngs);
    CHECK(y.at(0) == doctest::Approx(0.6));
    CHECK(y.at(1) == doctest::Approx(-0.8));
    CHECK(y.at(2) == doctest::Approx(1.2));
    CHECK(y.at(3) == doctest::Approx(-1.6));
    CHECK(std::hypot(y.at(4), y.at(5)) == doctest::Approx(0.5));

    Tensor z = Tensor::zeros({3, 2}, dtype);
    ascend(BallNorm::linf, gradient, steps, z, rngs);
    CHECK(z.at(0) == 1);
    CHECK(z.at(1) == -1);
    CHECK(z.at(2) == 2);
    CHECK(std::abs(z.at(4)) == 0.5);
    CHECK(std::abs(z.at(5)) == 0.5);
  }
}

TEST_SUITE_END();
