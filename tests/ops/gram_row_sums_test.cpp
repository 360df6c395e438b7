#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/gram_row_sums.hpp>
#include <isotape/ops/normalize.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/gram_row_sums");

namespace {

const std::vector<Shape> shapes = {{4, 4},       {5, 3},       {3, 6},       {1, 4},      {4, 1},
                                   {3, 3, 3, 2}, {2, 1, 3, 4}, {4, 2, 2, 1}, {1, 3, 2, 3}};

Tensor normal(const Shape& shape, std::uint64_t seed) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, DType::f64);
}

Tensor positive(std::int64_t n, std::uint64_t seed) {
  Rng rng(seed);
  return random_uniform(rng, {n}, 0.3, 3, DType::f64);
}

// From the definition: w_i as a convolution on zeros, met by w_j at every shift.
Tensor by_definition(const Tensor& w, const Tensor& q) {
  const std::int64_t n = w.dim(0);
  const std::int64_t h = w.rank() == 2 ? 1 : w.dim(1);
  const std::int64_t v = w.rank() == 2 ? 1 : w.dim(2);
  const std::int64_t c = w.size() / (n * h * v);
  Tensor t = Tensor::zeros({n}, DType::f64);
  const auto at = [&](std::int64_t i, std::int64_t a, std::int64_t b, std::int64_t k) {
    if (a < 0 || b < 0 || a >= h || b >= v) return 0.0;
    return w.data<double>()[((i * h + a) * v + b) * c + k];
  };
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t down = 1 - h; down < h; ++down) {
        for (std::int64_t across = 1 - v; across < v; ++across) {
          double g = 0;
          for (std::int64_t x = 0; x < h * v * c; ++x) {
            const std::int64_t a = x / (v * c);
            const std::int64_t b = x / c % v;
            g += at(i, a, b, x % c) * at(j, a + down, b + across, x % c);
          }
          t.write<double>()[i] += std::abs(g) * q.at(j) / q.at(i);
        }
      }
    }
  }
  return t;
}

// The largest singular value of the kernel on an image with zeros all around.
double norm_on_image(const Tensor& w, std::int64_t side) {
  if (w.rank() == 2) return singular_values(w)[0];
  const int reach = static_cast<int>(std::max(w.dim(1), w.dim(2)));
  const auto f = [&](const Var& x) { return conv2d(x, w, {}, {.padding = reach - 1}); };
  return singular_values(dense_operator(f, {1, side, side, w.dim(3)}, DType::f64))[0];
}

std::vector<double> ones(std::int64_t n) {
  std::vector<double> all(static_cast<std::size_t>(n), 1.0);
  return all;
}

}  // namespace

TEST_CASE("gram_row_sums: is what it says, in f64 and f32") {
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    const Tensor w = normal(shape, 1);
    const Tensor q = positive(shape[0], 2);
    const Tensor one = Tensor::full({shape[0]}, 1, DType::f64);
    const Tensor t = by_definition(w, q);
    CHECK(max_abs_diff(gram_row_sums(w, q).value(), t) < 1e-12 * max_abs(t));
    CHECK(max_abs_diff(gram_row_sums(w).value(), by_definition(w, one)) < 1e-12 * max_abs(t));
    const Tensor t32 = gram_row_sums(w.to(DType::f32), q.to(DType::f32)).value();
    CHECK(t32.dtype() == DType::f32);
    CHECK(max_abs_diff(t32.to(DType::f64), t) < 1e-6 * max_abs(t));
  }
}

TEST_CASE("gram_row_sums: derivatives match finite differences") {
  const auto both = [](const Vars& in) { return gram_row_sums(in[0], in[1]); };
  const auto plain = [](const Vars& in) { return gram_row_sums(in[0]); };
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    const Tensor w = normal(shape, 3);
    CHECK(gradcheck("gram_row_sums", plain, {w}, {.points = 4}));
    if (shape[0] == 1) continue;  // q cancels
    CHECK(gradcheck("gram_row_sums", both, {w, positive(shape[0], 4)}, {.points = 4}));
  }
}

TEST_CASE("gram_row_sums: of groups, each by itself") {
  for (const std::int64_t groups : {2, 3, 6}) {
    CAPTURE(groups);
    const Tensor w = normal({6, 3, 2, 2}, 15);
    const Tensor q = positive(6, 16);
    const Tensor t = gram_row_sums(w, q, groups).value();
    const std::int64_t rows = 6 / groups;
    for (std::int64_t at = 0; at < 6; at += rows) {
      const Tensor alone = gram_row_sums(w.rows(at, at + rows), q.rows(at, at + rows)).value();
      CHECK(max_abs_diff(t.rows(at, at + rows), alone) == 0);
    }
    const auto f = [&](const Vars& in) { return gram_row_sums(in[0], in[1], groups); };
    if (rows > 1) CHECK(gradcheck("gram_row_sums", f, {w, q}, {.points = 4}));
    double largest = 0;
    for (std::int64_t at = 0; at < 6; at += rows) {
      largest = std::max(largest, weighted_gram_bound(w.rows(at, at + rows), ones(rows)));
    }
    CHECK(weighted_gram_bound(w, ones(6), groups) == largest);
  }
  const Tensor w({6, 2});
  CHECK_THROWS_WITH_AS(gram_row_sums(w, {}, 4),
                       "gram_row_sums: expected groups that divide the rows of [6, 2], got 4",
                       ShapeError);
  Tensor broken = normal({6, 2}, 17);
  broken.write<double>()[0] = std::nan("");
  CHECK(std::isnan(weighted_gram_bound(broken, ones(6), 2)));
}

TEST_CASE("gram_row_sums: rows rescaled by it have norm 1 at most, and a proved bound of 1") {
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    const Tensor w = normal(shape, 5);
    const Tensor q = positive(shape[0], 6);
    const Tensor t = gram_row_sums(w, q).value();
    const Tensor y = rescale_rows(w, t).value();
    const double sigma = norm_on_image(y, 5);
    CHECK(sigma <= 1 + 1e-12);
    std::vector<double> p;
    for (std::int64_t i = 0; i < shape[0]; ++i) p.push_back(q.at(i) * std::sqrt(t.at(i)));
    const double bound = weighted_gram_bound(y, p);
    CHECK(bound >= 1);
    CHECK(bound <= 1 + 1e-11);
    CHECK(weighted_gram_bound(y, ones(shape[0])) >= sigma);
  }
}

TEST_CASE("gram_row_sums: zero rows have t = 0 and no gradient") {
  Tape tape;
  const Var w = tape.leaf(Tensor::of({1, 2, 0, 0, 3, -1}, {3, 2}, DType::f64));
  const Var t = gram_row_sums(w);
  CHECK(max_abs_diff(t.value(), Tensor::of({6, 0, 11}, {3}, DType::f64)) == 0);
  tape.backward(t, Tensor::full({3}, 1, DType::f64));
  CHECK(w.grad().at(2) == 0);
  CHECK(w.grad().at(3) == 0);
}

TEST_CASE("weighted_gram_bound: never below the norm, tight for orthogonal rows and one row") {
  Rng rng(7);
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    for (const double size : {1e-30, 1.0, 1e30}) {
      const Tensor w = random_normal(rng, shape, size, DType::f32);
      CHECK(weighted_gram_bound(w, ones(shape[0])) >=
            norm_on_image(w.to(DType::f64), 5) * (1 - 1e-13));
    }
  }
  const Tensor q = random_orthogonal(rng, {4, 9}, 1, DType::f64);
  CHECK(weighted_gram_bound(q, ones(4)) == doctest::Approx(1).epsilon(1e-13));
  CHECK(weighted_gram_bound(q, ones(4)) >= singular_values(q)[0]);
}

TEST_CASE("weighted_gram_bound: zero, NaN, overflow and weights out of range") {
  CHECK(weighted_gram_bound(Tensor::zeros({2, 3}, DType::f32), {1, 1}) == 0);
  CHECK(weighted_gram_bound(Tensor::full({2, 3}, 1e-200, DType::f64), {1, 1}) >= 2.4e-200);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(std::isnan(weighted_gram_bound(Tensor::of({1, nan}, {1, 2}, DType::f64), {1})));
  CHECK(weighted_gram_bound(Tensor::of({1, 2e200}, {2, 1}, DType::f64), {1, 1}) == infinity);
  const Tensor w = normal({2, 3}, 8);
  for (const double p : {0.0, -1.0, nan, infinity, 1e-60, 1e60}) {
    CHECK(weighted_gram_bound(w, {p, 1}) == weighted_gram_bound(w, {1, 1}));
  }
}

TEST_CASE("gram_row_sums: rejects other shapes and weights") {
  CHECK_THROWS_WITH_AS(gram_row_sums(Tensor({2, 3, 4})),
                       "gram_row_sums: expected w of shape [n, c] or [n, h, w, c], got [2, 3, 4]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(gram_row_sums(Tensor({2, 3}), Tensor({3})),
                       "gram_row_sums: expected q of shape [2] and type f32, got [3] and f32",
                       ShapeError);
  CHECK_THROWS_WITH_AS(
      gram_row_sums(Tensor::zeros({2, 3}, DType::f64), Tensor::of({1, 0}, {2}, DType::f64)),
      "gram_row_sums: expected q > 0, got 0 at 1", ValueError);
  CHECK_THROWS_WITH_AS(weighted_gram_bound(Tensor::zeros({2, 3}, DType::f64), {1}),
                       "weighted_gram_bound: expected 2 weights, got 1", ShapeError);
}

TEST_SUITE_END();
