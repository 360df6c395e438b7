#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/bjorck.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reshape.hpp>
#include <isotape/optim/stiefel.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("optim/stiefel");

namespace {

constexpr double gain = 0.25;

// Square, tall, wide, oblong either way, thin, a list, a kernel.
const Shape shapes[] = {{6, 6},  {9, 6},    {6, 9},       {40, 8},    {8, 40},
                        {1, 12}, {12, 1},   {5, 8, 8},    {3, 4, 10}, {4, 3, 3, 2},
                        {1, 1},  {100, 90}, {12, 3, 3, 1}};

Shape as_matrices(const Shape& shape) {
  return shape.rank() == 4 ? Shape{shape[0], shape.inner(0)} : shape;
}

Tensor on_manifold(Rng& rng, const Shape& shape, DType dtype) {
  return random_orthogonal(rng, as_matrices(shape), gain, dtype).reshaped(shape);
}

Tensor projected(Tensor value, const Tensor& direction, double scale) {
  Tensor result = direction.clone();
  const ManifoldMove move{"w", &value, &result, {scale}};
  project_to_tangent({&move, 1});
  return result;
}

RetractionStats move_by(Tensor& value, const Tensor& direction, double scale) {
  Tensor step = direction.clone();
  const ManifoldMove move{"w", &value, &step, {scale}};
  return retract({&move, 1});
}

// Q^T D + D^T Q on the small side, which vanishes for a tangent D.
double normal_part(const Tensor& value, const Tensor& direction) {
  const Shape shape = as_matrices(value.shape());
  const Tensor w = value.reshaped(shape).to(DType::f64);
  const Tensor d = direction.reshaped(shape).to(DType::f64);
  const bool wide = shape[-2] < shape[-1];
  const MatmulOptions inner{.trans_a = !wide, .trans_b = wide};
  return max_abs(add(matmul(w, d, inner), matmul(d, w, inner)).value());
}

// The largest and the smallest singular value of all matrices.
std::pair<double, double> sigma_range(const Tensor& value) {
  const Shape shape = as_matrices(value.shape());
  const Tensor list =
      value.reshaped({value.size() / (shape[-2] * shape[-1]), shape[-2], shape[-1]});
  double low = std::numeric_limits<double>::infinity();
  double high = 0;
  for (std::int64_t i = 0; i < list.dim(0); ++i) {
    const Tensor matrix = list.rows(i, i + 1).reshaped({shape[-2], shape[-1]});
    const std::vector<double> sigma = singular_values(matrix);
    low = std::min(low, sigma.back());
    high = std::max(high, sigma.front());
  }
  return {low, high};
}

}  // namespace

TEST_CASE("project_to_tangent: is the orthogonal projection, at any scale") {
  Rng rng(1);
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    const Tensor w = on_manifold(rng, shape, DType::f64);
    const Tensor a = random_normal(rng, shape, 1, DType::f64);
    const Tensor b = random_normal(rng, shape, 1, DType::f64);
    const Tensor pa = projected(w, a, gain);
    const Tensor pb = projected(w, b, gain);
    CHECK(normal_part(w, pa) < 1e-14);
    CHECK(max_abs_diff(projected(w, pa, gain), pa) < 1e-14);
    CHECK(dot(pa, b) == doctest::Approx(dot(a, pb)).epsilon(1e-12));
    const Tensor unit = scale(w, 1 / gain).value();
    CHECK(max_abs_diff(projected(unit, a, 1), pa) < 1e-14);
  }
}

TEST_CASE("project_to_tangent: removes what is normal, keeps what is tangent") {
  Rng rng(2);
  const Tensor q = random_orthogonal(rng, {7, 4}, 1, DType::f64);
  const Tensor s = random_normal(rng, {4, 4}, 1, DType::f64);
  const Tensor symmetric = add(s, transpose(s)).value();
  const Tensor skew = sub(s, transpose(s)).value();
  CHECK(max_abs(projected(q, matmul(q, symmetric).value(), 1)) < 1e-14);
  const Tensor tangent = matmul(q, skew).value();
  CHECK(max_abs_diff(projected(q, tangent, 1), tangent) < 1e-14);
}

TEST_CASE("project_to_tangent: writes the direction alone") {
  Rng rng(3);
  Tensor w = random_orthogonal(rng, {5, 5});
  Tensor d = random_normal(rng, {5, 5});
  const std::uint64_t version = w.version();
  const ManifoldMove move{"w", &w, &d, {1}};
  project_to_tangent({&move, 1});
  CHECK(w.version() == version);
  CHECK(stiefel_defect(w.to(DType::f64), {1}) < 1e-6);
  const Tensor wide = w.to(DType::f64);
  const std::uint64_t wide_version = wide.version();
  stiefel_defect(wide, {1});
  CHECK(wide.version() == wide_version);
}

TEST_CASE("retract: two hundred random moves, small to huge, leave the value on the manifold") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Rng rng(4);
    const double tolerance = stiefel_tolerance(dtype);
    for (const Shape& shape : shapes) {
      CAPTURE(shape);
      Tensor w = on_manifold(rng, shape, dtype);
      RetractionStats stats;
      for (int step = 0; step < 200; ++step) {
        const double size = gain * std::pow(10, -4 + 5 * rng.uniform());
        stats += move_by(w, random_normal(rng, shape, size, dtype), gain);
      }
      CHECK(stiefel_defect(w, {gain}) <= tolerance + (dtype == DType::f32 ? 2e-7 : 0));
      const auto [low, high] = sigma_range(w.to(DType::f64));
      CHECK(low >= gain * (1 - tolerance));
      CHECK(high <= gain * (1 + tolerance));
      CHECK(stats.exact == 0);
      CHECK(stats.max_steps <= 5);
      CHECK(stats.max_defect <= tolerance);
    }
  }
}

TEST_CASE("retract: gives the polar factor of value plus tangent step, on both paths") {
  Rng rng(5);
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    const Tensor start = on_manifold(rng, shape, DType::f64);
    const Tensor d = random_normal(rng, shape, 0.02 * gain, DType::f64);
    Tensor w = start;
    w = w.clone();
    const RetractionStats stats = move_by(w, d, gain);
    const Tensor sum = add(start, projected(start, d, gain)).value();
    const Tensor q = bjorck(sum.reshaped(as_matrices(shape))).value();
    CHECK(max_abs_diff(w, scale(q, gain).value().reshaped(shape)) < 1e-12);
    CHECK(stats.shortened == 0);
  }
}

TEST_CASE("retract: many tiny deviations of one sign are not left to add up") {
  // A direction with equal entries: the deviation it causes has small entries of one sign and a
  // large norm, so that max |Q^T Q - I| alone would let it pass.
  Rng rng(6);
  Tensor w = random_orthogonal(rng, {120, 100});
  const Tensor equal = Tensor::full({120, 100}, 4e-5);
  for (int step = 0; step < 6; ++step) {
    move_by(w, equal, 1);
    const auto [low, high] = sigma_range(w.to(DType::f64));
    CHECK(low >= 1 - 1e-6);
    CHECK(high <= 1 + 1e-6);
  }
}

TEST_CASE("retract: what small moves stretch does not add up within the tolerance") {
  Rng rng(12);
  for (const Shape& shape : {Shape{64, 64}, Shape{4, 4}, Shape{100, 1568}}) {
    CAPTURE(shape);
    Tensor w = random_orthogonal(rng, shape, gain);
    for (int step = 0; step < 40; ++step) {
      // The stretch of one move is about 1e-7, a tenth of the tolerance.
      const double size = 3e-4 * gain / std::sqrt(double(std::max(shape[0], shape[1])));
      move_by(w, random_normal(rng, shape, size), gain);
      const auto [low, high] = sigma_range(scale(w.to(DType::f64), 1 / gain).value());
      CHECK(low >= 1 - 3e-7);
      CHECK(high <= 1 + 3e-7);
    }
  }
}

TEST_CASE("retract: a huge step is shortened, of a square matrix to a turn of arctan(1/2)") {
  const double largest = 2 * std::sin(std::atan(0.5) / 2);
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const Shape& shape : {Shape{6, 6}, Shape{30, 6}, Shape{6, 10}, Shape{1, 9}}) {
      for (const double size : {10.0, 1e9, 1e30}) {
        CAPTURE(shape);
        Rng rng(7);
        const Tensor start = random_orthogonal(rng, shape, 1, dtype);
        Tensor w = start.clone();
        const RetractionStats stats = move_by(w, random_normal(rng, shape, size, dtype), 1);
        const double turn = singular_values(sub(w, start).value()).front();
        CHECK(turn > 0.9 * largest);
        CHECK(turn <= (shape[0] == shape[1] ? largest + 1e-6 : 0.5));
        CHECK(stats.shortened == 1);
        CHECK(stiefel_defect(w, {1}) <= stiefel_tolerance(dtype));
      }
    }
  }
}

TEST_CASE("retract: takes as few steps as the measured deviation allows") {
  for (const Shape& shape : {Shape{64, 64}, Shape{64, 80}, Shape{40, 200}}) {
    CAPTURE(shape);
    // Steps of order 1 alone need 4 from the largest moves and 1 from small ones; measuring what
    // the last one left would take no step less.
    const std::pair<double, int> cases[] = {{10.0, 3}, {0.02, 3}, {2e-4, 1}, {1e-5, 0}, {0, 0}};
    for (const auto& one : cases) {
      const auto [size, steps] = one;
      CAPTURE(one.first);
      Rng rng(11);
      Tensor w = random_orthogonal(rng, shape);
      const RetractionStats stats = move_by(w, random_normal(rng, shape, size), 1);
      CHECK(stats.steps == stats.max_steps);
      CHECK(stats.steps <= steps);
      CHECK((stats.steps == 0) == (steps == 0));
      CHECK(stiefel_defect(w, {1}) <= 1e-6);
    }
  }
}

TEST_CASE("retract: a zero step changes nothing, bit for bit") {
  Rng rng(8);
  for (const Shape& shape : shapes) {
    Tensor w = on_manifold(rng, shape, DType::f32);
    const Tensor before = w.clone();
    const RetractionStats stats = move_by(w, Tensor::zeros(shape), gain);
    CHECK(max_abs_diff(w, before) == 0);
    CHECK(stats.steps == 0);
    CHECK(stats.matrices == (shape.rank() == 3 ? shape[0] : 1));
  }
}

TEST_CASE("retract: a value far from the manifold is put onto it by its spectrum") {
  Rng rng(9);
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor start = random_normal(rng, {12, 8}, 1, dtype);
    Tensor w = start.clone();
    const RetractionStats stats = move_by(w, Tensor::zeros({12, 8}, dtype), gain);
    CHECK(stats.exact == 1);
    CHECK(stiefel_defect(w, {gain}) <= 1e-6);
    const Tensor q = bjorck(start.to(DType::f64)).value();
    CHECK(max_abs_diff(w.to(DType::f64), scale(q, gain).value()) < 1e-6);
  }
}

TEST_CASE("retract: lists of both types and many shapes give what each matrix gives alone") {
  const int threads = num_threads();
  Rng rng(10);
  Tensors values, steps, alone;
  for (const Shape& shape : shapes) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      values.push_back(on_manifold(rng, shape, dtype));
      steps.push_back(random_normal(rng, shape, 0.1, dtype));
      alone.push_back(values.back().clone());
    }
  }
  set_num_threads(1);
  RetractionStats sum;
  for (std::size_t i = 0; i < values.size(); ++i) sum += move_by(alone[i], steps[i], gain);
  set_num_threads(3);
  std::vector<ManifoldMove> moves;
  for (std::size_t i = 0; i < values.size(); ++i) {
    moves.push_back({"w", &values[i], &steps[i], {gain}});
  }
  const RetractionStats together = retract(moves);
  set_num_threads(threads);
  for (std::size_t i = 0; i < values.size(); ++i) CHECK(max_abs_diff(values[i], alone[i]) == 0);
  CHECK(together.steps == sum.steps);
  CHECK(together.matrices == sum.matrices);
  CHECK(together.mean_steps() == doctest::Approx(double(sum.steps) / double(sum.matrices)));
  CHECK(RetractionStats().mean_steps() == 0);
}

TEST_CASE("retract: rejects what cannot be moved") {
  Tensor w = Tensor::eye(3);
  Tensor d = Tensor::zeros({3, 3});
  const auto moved = [&](Tensor& value, Tensor& direction, double scale = 1) {
    const ManifoldMove move{"fc1.raw", &value, &direction, {scale}};
    return retract({&move, 1});
  };
  Tensor vector = Tensor::zeros({3});
  CHECK_THROWS_WITH_AS(moved(vector, vector),
                       "retract: expected fc1.raw of shape [m, n], [b, m, n] or [O, h, w, I], got "
                       "[3]",
                       ShapeError);
  Tensor other = Tensor::zeros({3, 2});
  CHECK_THROWS_WITH_AS(moved(w, other), "retract: expected equal shapes, got [3, 3] and [3, 2]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(moved(w, d, 0), "retract: expected a scale > 0 of fc1.raw, got 0",
                       ValueError);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Tensor bad = Tensor::full({3, 3}, nan);
  CHECK_THROWS_WITH_AS(moved(w, bad), "retract: expected a finite step of fc1.raw, got norm nan",
                       NumericError);
  CHECK_THROWS_WITH_AS(stiefel_defect(bad, {1}),
                       "stiefel: expected finite values of the value, got defect nan",
                       NumericError);
  Tensor zero = Tensor::zeros({3, 3});
  CHECK_THROWS_WITH_AS(moved(zero, d),
                       "retract: expected full rank of fc1.raw after its step, got sigma_min 0 and "
                       "sigma_max 0",
                       NumericError);
}

TEST_SUITE_END();
