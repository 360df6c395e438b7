#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/pool.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/pool");

namespace {

struct Case {
  PoolOptions options;
  std::int64_t height, width;
};

const std::vector<Case> cases = {{{.kernel = 1}, 3, 2},
                                 {{.kernel = 2}, 4, 6},
                                 {{.kernel = 3}, 3, 6},
                                 {{.kernel = 2, .stride = 1}, 4, 3},
                                 {{.kernel = 3, .stride = 2}, 5, 7},
                                 {{.kernel = 3, .stride = 1}, 6, 5},
                                 {{.kernel = 2, .stride = 3}, 5, 8},
                                 {{.kernel = 5, .stride = 2}, 9, 5}};

// f over the pixels of each window, one channel of one image at a time.
template <class F>
Tensor plain(const Tensor& x, const PoolOptions& options, F f) {
  const std::int64_t k = options.kernel;
  const std::int64_t s = options.stride == 0 ? k : options.stride;
  const std::int64_t rows = (x.dim(1) - k) / s + 1;
  const std::int64_t columns = (x.dim(2) - k) / s + 1;
  std::vector<double> values;
  for (std::int64_t n = 0; n < x.dim(0); ++n) {
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j) {
        for (std::int64_t c = 0; c < x.dim(3); ++c) {
          std::vector<double> window;
          for (std::int64_t a = 0; a < k; ++a) {
            for (std::int64_t b = 0; b < k; ++b) {
              const std::int64_t row = (n * x.dim(1) + i * s + a) * x.dim(2) + j * s + b;
              window.push_back(x.at(row * x.dim(3) + c));
            }
          }
          values.push_back(f(window));
        }
      }
    }
  }
  return Tensor::of(values, {x.dim(0), rows, columns, x.dim(3)}, DType::f64);
}

Var l2_of(const Vars& in, const PoolOptions& options) { return l2_pool(in[0], options); }
Var average_of(const Vars& in, const PoolOptions& options) { return average_pool(in[0], options); }

}  // namespace

TEST_CASE("l2_pool, average_pool: agree with plain loops, in f64 and f32") {
  Rng rng(1);
  for (const Case& c : cases) {
    const Tensor x = random_normal(rng, {2, c.height, c.width, 3}, 1, DType::f64);
    const Tensor norm = plain(x, c.options, [&](const std::vector<double>& window) {
      double sum = 0;
      for (const double v : window) sum += v * v;
      return std::sqrt(sum) / static_cast<double>(pool_overlap(c.options));
    });
    const Tensor mean = plain(x, c.options, [&](const std::vector<double>& window) {
      double sum = 0;
      for (const double v : window) sum += v;
      return sum / static_cast<double>(pool_sum_norm(c.options));
    });
    CHECK(max_abs_diff(l2_pool(x, c.options).value(), norm) <= 1e-14);
    CHECK(max_abs_diff(average_pool(x, c.options).value(), mean) <= 1e-14);
    const Tensor x32 = x.to(DType::f32);
    CHECK(max_abs_diff(l2_pool(x32, c.options).value().to(DType::f64), norm) <= 1e-6);
    CHECK(max_abs_diff(average_pool(x32, c.options).value().to(DType::f64), mean) <= 2e-6);
  }
}

TEST_CASE("l2_pool, average_pool: vjp and jvp match finite differences") {
  Rng rng(2);
  for (const Case& c : cases) {
    const Tensor x = random_normal(rng, {2, c.height, c.width, 2}, 1, DType::f64);
    GradcheckOptions options;
    options.step = 1e-3;  // the kernel 1 has a kink at 0; six points are exact to 1e-12 here
    options.points = 6;
    CHECK(gradcheck(
        "l2_pool", [&](const Vars& in) { return l2_of(in, c.options); }, {x}, options));
    CHECK(
        gradcheck("average_pool", [&](const Vars& in) { return average_of(in, c.options); }, {x}));
    const auto f = [&](const Var& in) { return average_pool(in, c.options); };
    CHECK(adjoint_test("average_pool", f, x.shape(), DType::f32, 1e-6));
  }
  const Tensor x = random_normal(rng, {2, 3, 4, 5}, 1, DType::f64);
  CHECK(gradcheck("global_average_pool", [](const Vars& in) { return global_average_pool(in[0]); },
                  {x}));
}

TEST_CASE("average_pool: its norm is 1 without overlap, at most 1 with, and near it") {
  for (const Case& c : cases) {
    CAPTURE(c.options.kernel);
    CAPTURE(c.options.stride);
    for (const DType dtype : {DType::f32, DType::f64}) {
      const auto f = [&](const Var& in) { return average_pool(in, c.options); };
      const std::vector<double> sigma =
          singular_values(dense_operator(f, {1, c.height, c.width, 1}, dtype));
      CHECK(sigma.front() <= 1 + 1e-14);
      const bool disjoint = c.options.stride == 0 || c.options.stride >= c.options.kernel;
      if (disjoint) CHECK(sigma.back() >= 1 - 1e-7);  // rounded down
    }
  }
  // On a large image the bound of overlapping windows is nearly attained: it is the supremum.
  const PoolOptions overlapping{.kernel = 3, .stride = 2};
  const auto f = [&](const Var& in) { return average_pool(in, overlapping); };
  CHECK(singular_values(dense_operator(f, {1, 41, 3, 1}, DType::f64)).front() >=
        0.995 / std::sqrt(5.0) * std::sqrt(3.0));  // times that of one window, 3 of norm 5
}

TEST_CASE("average_pool, global_average_pool: the factor in use does not exceed the proved one") {
  // One bright pixel shows the factor itself.
  const auto spot = [](const Shape& shape, DType dtype) {
    Tensor image = Tensor::zeros(shape, DType::f64);
    image.write<double>()[0] = 1;
    return image.to(dtype);
  };
  for (int k = 1; k <= 40; ++k) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      const long double tolerance = dtype == DType::f32 ? 1e-6L : 1e-14L;
      const long double local =
          average_pool(spot({1, k, k, 1}, dtype), {.kernel = k}).value().item();
      CHECK(local * k <= 1);
      CHECK(local * k >= 1 - tolerance);
      const long double global = global_average_pool(spot({1, k, k + 1, 1}, dtype)).value().item();
      CHECK(global * global * k * (k + 1) <= 1);
      CHECK(global * global * k * (k + 1) >= 1 - tolerance);
    }
  }
}

TEST_CASE("l2_pool: 1-Lipschitz, with overlap too; gradient norm kept without") {
  Rng rng(3);
  for (const Case& c : cases) {
    for (int round = 0; round < 50; ++round) {
      const Tensor a = random_normal(rng, {1, c.height, c.width, 2}, 1, DType::f64);
      Tensor b = random_normal(rng, a.shape(), round % 2 == 0 ? 1 : 1e-3, DType::f64);
      if (round % 2 == 1) add_in_place(b, a);
      Tensor difference = l2_pool(a, c.options).value().clone();
      add_in_place(difference, l2_pool(b, c.options).value(), -1);
      Tensor step = a.clone();
      add_in_place(step, b, -1);
      REQUIRE(frobenius_norm(difference) <= frobenius_norm(step) * (1 + 1e-12));
    }
  }
  Tape tape;
  const Var x = tape.leaf(random_normal(rng, {2, 6, 6, 4}, 1, DType::f64));
  const Tensor dy = random_normal(rng, {2, 2, 2, 4}, 1, DType::f64);
  tape.backward(l2_pool(x, {.kernel = 3}), dy.clone());
  CHECK(frobenius_norm(x.grad()) == doctest::Approx(frobenius_norm(dy)).epsilon(1e-13));
}

TEST_CASE("l2_pool: a window of zeros gives 0 and no gradient; no square overflows or vanishes") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Tape tape;
    Tensor values = Tensor::zeros({1, 2, 4, 1}, DType::f64);
    values.write<double>()[2] = 3;
    values.write<double>()[7] = 4;
    const Var x = tape.leaf(values.to(dtype));
    const Var y = l2_pool(x, {.kernel = 2});
    CHECK(y.value().at(0) == 0);
    CHECK(y.value().at(1) == 5);
    tape.backward(y, Tensor::full(y.shape(), 10, dtype));
    const double expected[] = {0, 0, 6, 0, 0, 0, 0, 8};
    for (std::int64_t i = 0; i < 8; ++i) {
      CHECK(x.grad().at(i) == doctest::Approx(expected[i]).epsilon(1e-6));
    }
  }
  for (const double size : {1e-200, 1e-310, 1e200, 1e300}) {
    const Tensor x = Tensor::of({3 * size, 0, 0, -4 * size}, {1, 2, 2, 1}, DType::f64);
    CHECK(l2_pool(x, {.kernel = 2}).value().item() / size == doctest::Approx(5).epsilon(1e-12));
  }
}

TEST_CASE("upsample_nearest: repeats pixels and multiplies every norm by its factor") {
  const Tensor x = Tensor::of({1, 2, 3, 4}, {1, 2, 2, 1}, DType::f64);
  const Tensor y = upsample_nearest(x, 2).value();
  CHECK(max_abs_diff(y, Tensor::of({1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4}, {1, 4, 4, 1},
                                   DType::f64)) == 0);
  for (const int s : {1, 2, 3}) {
    const auto f = [=](const Var& in) { return upsample_nearest(in, s); };
    for (const double sigma : singular_values(dense_operator(f, {1, 2, 3, 2}, DType::f32))) {
      CHECK(sigma == doctest::Approx(s).epsilon(1e-13));
    }
    CHECK(adjoint_test("upsample_nearest", f, {2, 3, 2, 3}, DType::f32, 1e-6));
    CHECK(gradcheck("upsample_nearest", [&](const Vars& in) { return f(in[0]); },
                    {Tensor::full({1, 2, 1, 2}, 1, DType::f64)}));
  }
  CHECK_THROWS_WITH_AS(upsample_nearest(Tensor({2, 2, 2}), 2),
                       "upsample_nearest: expected x of shape [N, H, W, C], got [2, 2, 2]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(upsample_nearest(x, 0), "upsample_nearest: expected a factor >= 1, got 0",
                       ValueError);
}

TEST_CASE("pools: one thread gives what several give") {
  Rng rng(4);
  const int threads = num_threads();
  const Tensor x = random_normal(rng, {32, 9, 9, 16});
  const PoolOptions options{.kernel = 3, .stride = 2};
  Tensor results[2][4];
  for (int run = 0; run < 2; ++run) {
    set_num_threads(run == 0 ? 1 : 3);
    Tape tape;
    const Var leaf = tape.leaf(x);
    const Var y = l2_pool(leaf, options);
    tape.backward(y, y.value().clone());
    results[run][0] = y.value();
    results[run][1] = leaf.grad();
    tape.clear_grads();
    const Var z = average_pool(leaf, options);
    tape.backward(z, z.value().clone());
    results[run][2] = z.value();
    results[run][3] = leaf.grad();
  }
  set_num_threads(threads);
  for (int i = 0; i < 4; ++i) CHECK(max_abs_diff(results[0][i], results[1][i]) == 0);
}

TEST_CASE("pools: reject windows that do not cover the image") {
  CHECK_THROWS_WITH_AS(l2_pool(Tensor({1, 5, 4, 2}), {.kernel = 2}),
                       "l2_pool: expected x of shape [N, H, W, C] with H and W of 2 plus a "
                       "multiple of 2, got [1, 5, 4, 2]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(average_pool(Tensor({1, 2, 4, 2}), {.kernel = 3, .stride = 1}),
                       "average_pool: expected x of shape [N, H, W, C] with H and W of 3 plus a "
                       "multiple of 1, got [1, 2, 4, 2]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(l2_pool(Tensor({1, 5, 4, 2}), {.kernel = 0}),
                       "l2_pool: expected a kernel >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(average_pool(Tensor({1, 5, 4, 2}), {.kernel = 2, .stride = -1}),
                       "average_pool: expected a stride >= 0, got -1", ValueError);
  CHECK_THROWS_WITH_AS(l2_pool(Tensor({1, 2, 2, 1}, DType::u8), {.kernel = 2}),
                       "l2_pool: expected f32 or f64, got u8", ShapeError);
  CHECK_THROWS_WITH_AS(average_pool(Tensor({1, 2, 2, 1}, DType::u8), {.kernel = 2}),
                       "average_pool: expected f32 or f64, got u8", ShapeError);
  CHECK_THROWS_WITH_AS(global_average_pool(Tensor({1, 0, 4, 2})),
                       "global_average_pool: expected x of shape [N, H, W, C] with at least one "
                       "pixel, got [1, 0, 4, 2]",
                       ShapeError);
}

TEST_SUITE_END();
