#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/cayley.hpp>
#include <isotape/ops/cayley_complex.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/cayley_complex");

namespace {

Var cayley_of(const Vars& in) { return cayley_complex(in[0]); }

Tensor normal(const Shape& shape, double deviation, std::uint64_t seed, DType dtype = DType::f64) {
  Rng rng(seed);
  return random_normal(rng, shape, deviation, DType::f64).to(dtype);
}

// max |q^H q - I|, or of q q^H for wide matrices.
double defect(const Tensor& stack) {
  const Tensor q = stack.to(DType::f64);
  const std::int64_t m = q.dim(1);
  const std::int64_t n = q.dim(2);
  const std::int64_t rank = std::min(m, n);
  double largest = 0;
  for (std::int64_t b = 0; b < q.dim(0); ++b) {
    const double* a = q.data<double>() + 2 * b * m * n;
    const auto part = [&](std::int64_t side, std::int64_t along, int which) {
      return a[2 * (m < n ? side * n + along : along * n + side) + which];
    };
    for (std::int64_t i = 0; i < rank; ++i) {
      for (std::int64_t j = 0; j < rank; ++j) {
        double re = i == j ? -1 : 0;
        double im = 0;
        for (std::int64_t k = 0; k < std::max(m, n); ++k) {
          re += part(i, k, 0) * part(j, k, 0) + part(i, k, 1) * part(j, k, 1);
          im += part(i, k, 0) * part(j, k, 1) - part(i, k, 1) * part(j, k, 0);
        }
        largest = std::max(largest, std::hypot(re, im));
      }
    }
  }
  return largest;
}

}  // namespace

TEST_CASE("cayley_complex: vjp and jvp match finite differences, square, tall and wide") {
  for (const Shape& shape : {Shape{1, 1, 1, 2},
                             {1, 3, 3, 2},
                             {2, 4, 2, 2},
                             {2, 2, 5, 2},
                             {3, 1, 2, 2},
                             {1, 3, 1, 2},
                             {2, 7, 4, 2}}) {
    CAPTURE(shape);
    CHECK(gradcheck("cayley_complex", cayley_of, {normal(shape, 0.7, 3)}, {.points = 4}));
  }
}

TEST_CASE("cayley_complex: orthonormal columns, or rows, to rounding") {
  for (const Shape& shape : {Shape{2, 6, 6, 2}, {3, 9, 4, 2}, {3, 4, 9, 2}, {2, 33, 20, 2}}) {
    for (const double size : {1e-3, 1.0, 30.0}) {
      CAPTURE(shape);
      CAPTURE(size);
      CHECK(defect(cayley_complex(normal(shape, size, 5)).value()) < 2e-13);
      CHECK(defect(cayley_complex(normal(shape, size, 5, DType::f32)).value()) < 2e-5);
    }
  }
}

TEST_CASE("cayley_complex: of real matrices, what cayley gives") {
  for (const Shape& shape : {Shape{2, 4, 4}, {2, 7, 3}, {2, 3, 7}}) {
    const Tensor w = normal(shape, 0.8, 7);
    Tensor complex = Tensor::zeros({shape[0], shape[1], shape[2], 2}, DType::f64);
    for (std::int64_t i = 0; i < w.size(); ++i) complex.write<double>()[2 * i] = w.at(i);
    const Tensor q = cayley(w).value();
    const Tensor found = cayley_complex(complex).value();
    for (std::int64_t i = 0; i < q.size(); ++i) {
      CHECK(std::abs(found.at(2 * i) - q.at(i)) < 1e-14);
      CHECK(std::abs(found.at(2 * i + 1)) < 1e-14);
    }
  }
}

TEST_CASE("cayley_complex: zero gives the identity") {
  const Tensor q = cayley_complex(Tensor::zeros({1, 2, 1, 2}, DType::f64)).value();
  CHECK(max_abs_diff(q, Tensor::of({1, 0, 0, 0}, {1, 2, 1, 2}, DType::f64)) == 0);
}

TEST_CASE("cayley_complex: the same bits on any number of threads; f32 agrees with f64") {
  const Tensor w = normal({5, 12, 8, 2}, 0.5, 11);
  const int threads = num_threads();
  set_num_threads(1);
  const Tensor one = cayley_complex(w).value();
  set_num_threads(2);
  const Tensor two = cayley_complex(w).value();
  set_num_threads(threads);
  CHECK(max_abs_diff(one, two) == 0);
  const auto gradient = [&](DType dtype) {
    Tape tape;
    const Var leaf = tape.leaf(w.to(dtype));
    tape.backward(cayley_complex(leaf), normal(w.shape(), 1, 14, dtype));
    return leaf.grad().to(DType::f64);
  };
  CHECK(max_abs_diff(gradient(DType::f32), gradient(DType::f64)) < 2e-5);
}

TEST_CASE("cayley_complex: rejects what it cannot transform") {
  CHECK_THROWS_WITH_AS(cayley_complex(Tensor({4, 4, 2})),
                       "cayley_complex: expected w of shape [b, m, n, 2], got [4, 4, 2]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(cayley_complex(Tensor({1, 4, 4, 2}, DType::u8)),
                       "cayley_complex: expected f32 or f64, got u8", ShapeError);
  Tensor w = normal({1, 3, 2, 2}, 1, 1);
  w.write<double>()[2] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(cayley_complex(w),
                       "cayley_complex: expected finite entries, not too large, got w of shape [1, "
                       "3, 2, 2] with a transform that is not",
                       NumericError);
}

TEST_SUITE_END();
