#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/cayley.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/cayley");

namespace {

Var cayley_of(const Vars& in) { return cayley(in[0]); }

Tensor normal(const Shape& shape, double deviation, std::uint64_t seed, DType dtype = DType::f64) {
  Rng rng(seed);
  return random_normal(rng, shape, deviation, DType::f64).to(dtype);
}

// max |q^T q - I|, or of q q^T for a wide q, over a stack; in f64.
double defect(const Tensor& stack) {
  const Tensor q = stack.to(DType::f64);
  const std::int64_t m = q.dim(-2);
  const std::int64_t n = q.dim(-1);
  const std::int64_t rank = std::min(m, n);
  double largest = 0;
  for (std::int64_t b = 0; b < q.size() / (m * n); ++b) {
    const double* a = q.data<double>() + b * m * n;
    for (std::int64_t i = 0; i < rank; ++i) {
      for (std::int64_t j = 0; j < rank; ++j) {
        double sum = i == j ? -1 : 0;
        for (std::int64_t k = 0; k < std::max(m, n); ++k) {
          sum += m < n ? a[i * n + k] * a[j * n + k] : a[k * n + i] * a[k * n + j];
        }
        largest = std::max(largest, std::abs(sum));
      }
    }
  }
  return largest;
}

Tensor swapped(const Tensor& x) {
  Tensor y({x.dim(1), x.dim(0)}, DType::f64);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    y.write<double>()[i % x.dim(1) * x.dim(0) + i / x.dim(1)] = x.at(i);
  }
  return y;
}

const std::vector<Shape> shapes = {{1, 1}, {2, 2},    {5, 5},    {5, 3},    {3, 5},   {7, 1},
                                   {1, 4}, {3, 4, 4}, {2, 6, 3}, {3, 2, 4}, {1, 4, 1}};

}  // namespace

TEST_CASE("cayley: vjp and jvp match finite differences") {
  for (const Shape& shape : shapes) {
    CAPTURE(shape);
    CHECK(gradcheck("cayley", cayley_of, {normal(shape, 0.7, 3)},
                    {.points = 4, .may_vanish = shape == Shape{1, 1}}));
  }
  CHECK(gradcheck("cayley", cayley_of, {normal({20, 9}, 0.3, 4)}, {.points = 4}));
}

TEST_CASE("cayley: orthonormal columns, or rows, however large the entries are") {
  for (const Shape& shape : {Shape{1, 1}, {6, 6}, {9, 4}, {4, 9}, {2, 33, 33}, {2, 64, 40}}) {
    for (const double size : {1e-3, 1.0, 1e3, 1e6}) {
      CAPTURE(shape);
      CAPTURE(size);
      CHECK(defect(cayley(normal(shape, size, 5)).value()) < 1e-13);
      CHECK(defect(cayley(normal(shape, size, 5, DType::f32)).value()) < 1e-6);
    }
  }
}

TEST_CASE("cayley: of a square w, q (I + a) = I - a with a = w - w^T") {
  const Tensor w = normal({6, 6}, 1, 7);
  const Tensor q = cayley(w).value();
  const auto a = [&](std::int64_t i, std::int64_t j) { return w.at(i * 6 + j) - w.at(j * 6 + i); };
  for (std::int64_t i = 0; i < 6; ++i) {
    for (std::int64_t j = 0; j < 6; ++j) {
      double sum = q.at(i * 6 + j);
      for (std::int64_t k = 0; k < 6; ++k) sum += q.at(i * 6 + k) * a(k, j);
      CHECK(std::abs(sum - ((i == j ? 1 : 0) - a(i, j))) < 1e-13);
    }
  }
}

TEST_CASE("cayley: reproduces the published code's values, square and tall") {
  // x_ij = sin(1 + 2i + 3j), and m_ij = sin(0.5 + 1.7i + 2.3j) of 5 rows; [Wang 2023]'s code.
  Tensor x({3, 3}, DType::f64);
  Tensor m({5, 3}, DType::f64);
  for (int i = 0; i < 5; ++i) {
    for (int j = 0; j < 3; ++j) {
      if (i < 3) x.write<double>()[i * 3 + j] = std::sin(1 + 2 * i + 3 * j);
      m.write<double>()[i * 3 + j] = std::sin(0.5 + 1.7 * i + 2.3 * j);
    }
  }
  const Tensor square =
      Tensor::of({-0.438725662691, 0.770713454453, -0.462082854066, 0.0146698190098, 0.520287405323,
                  0.853865219032, 0.898501301784, 0.367833912232, -0.239569663575},
                 {3, 3}, DType::f64);
  const Tensor tall = Tensor::of(
      {0.0366209918913, 0.746029816216, 0.183923816232, 0.156141380512, 0.102751528778,
       0.0352022122642, 0.0120988272339, 0.626970157323, 0.0752506332462, 0.506875831064,
       -0.191839815051, 0.83348072497, -0.846882094808, -0.0546584287839, 0.514373460992},
      {5, 3}, DType::f64);
  CHECK(max_abs_diff(cayley(x).value(), square) < 1e-12);
  CHECK(max_abs_diff(cayley(m).value(), tall) < 1e-12);

  // Gradients for dq_ij = cos(0.3 + 0.9i + 1.1j).
  const auto gradient = [](const Tensor& w) {
    Tensor dq(w.shape(), DType::f64);
    for (std::int64_t i = 0; i < w.size(); ++i) {
      const std::int64_t row = i / 3;
      dq.write<double>()[i] = std::cos(0.3 + 0.9 * double(row) + 1.1 * double(i % 3));
    }
    Tape tape;
    const Var leaf = tape.leaf(w);
    tape.backward(cayley(leaf), dq);
    return leaf.grad();
  };
  const auto skew = [](double a01, double a02, double a12) {
    return Tensor::of({0, a01, a02, -a01, 0, a12, -a02, -a12, 0}, {3, 3}, DType::f64);
  };
  CHECK(max_abs_diff(gradient(x), skew(1.3119275038, -0.0882067161803, -0.812939360425)) < 1e-11);
  const Tensor grad_m = gradient(m);
  CHECK(max_abs_diff(grad_m.rows(0, 3), skew(0.114990436379, -0.309457222113, 0.570194680317)) <
        1e-11);
  CHECK(
      max_abs_diff(grad_m.rows(3, 5), Tensor::of({0.394566254395, 0.120795047788, 0.35140266971,
                                                  -1.5760178281, -1.64889074765, -0.0512663546549},
                                                 {2, 3}, DType::f64)) < 1e-11);
}

TEST_CASE("cayley: zero gives the identity, and a wide w the transpose of the tall one") {
  CHECK(max_abs_diff(cayley(Tensor::zeros({4, 4}, DType::f64)).value(),
                     Tensor::eye(4, DType::f64)) == 0);
  const Tensor tall = cayley(Tensor::zeros({3, 2}, DType::f64)).value();
  CHECK(max_abs_diff(tall, Tensor::of({1, 0, 0, 1, 0, 0}, {3, 2}, DType::f64)) == 0);
  for (const Shape& shape : {Shape{7, 4}, {37, 21}}) {
    const Tensor w = normal(shape, 1, 9);
    CHECK(max_abs_diff(cayley(swapped(w)).value(), swapped(cayley(w).value())) == 0);
  }
}

TEST_CASE("cayley: a stack is transformed matrix by matrix, on any number of threads") {
  const Tensor stack = normal({5, 12, 8}, 1, 11);
  const int threads = num_threads();
  set_num_threads(1);
  const Tensor one = cayley(stack).value();
  set_num_threads(2);
  const Tensor two = cayley(stack).value();
  set_num_threads(threads);
  CHECK(max_abs_diff(one, two) == 0);
  for (std::int64_t b = 0; b < 5; ++b) {
    const Tensor w = stack.rows(b, b + 1).reshaped({12, 8});
    CHECK(max_abs_diff(cayley(w).value(), one.rows(b, b + 1).reshaped({12, 8})) < 1e-15);
  }
}

TEST_CASE("cayley: the gradient of x is skew, and f32 agrees with f64") {
  const Tensor w = normal({24, 16}, 0.2, 13);
  const auto gradient = [&](DType dtype) {
    Tape tape;
    const Var leaf = tape.leaf(w.to(dtype));
    const Var q = cayley(leaf);
    tape.backward(q, normal({24, 16}, 1, 14, dtype));
    return leaf.grad().to(DType::f64);
  };
  const Tensor grad = gradient(DType::f64);
  for (std::int64_t i = 0; i < 16; ++i) {
    for (std::int64_t j = 0; j < 16; ++j) CHECK(grad.at(i * 16 + j) == -grad.at(j * 16 + i));
  }
  CHECK(max_abs_diff(gradient(DType::f32), grad) < 2e-5);
}

TEST_CASE("cayley: rejects what it cannot transform") {
  CHECK_THROWS_WITH_AS(cayley(Tensor({4})),
                       "cayley: expected w of shape [m, n] or [b, m, n], got [4]", ShapeError);
  CHECK_THROWS_WITH_AS(cayley(Tensor({2, 2}, DType::u8)), "cayley: expected f32 or f64, got u8",
                       ShapeError);
  Tensor w = normal({3, 2}, 1, 1);
  w.write<double>()[2] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(
      cayley(w), "cayley: expected finite entries, got w of shape [3, 2] with NaN or infinity",
      NumericError);
  CHECK_THROWS_WITH_AS(cayley(Tensor::full({4, 2}, 1e30)),
                       "cayley: expected q^T q within 0.5 of I before polishing, got nan; the "
                       "entries of w are too large",
                       NumericError);
}

TEST_SUITE_END();
