#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/matmul.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/matmul");

namespace {

constexpr MatmulOptions all_options[] = {{}, {.trans_a = true}, {.trans_b = true}, {true, true}};

Tensor normal(std::uint64_t seed, const Shape& shape, DType dtype = DType::f64) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, dtype);
}

// op(a) op(b) by three loops, in f64.
Tensor plain_product(const Tensor& a, const Tensor& b, MatmulOptions options) {
  const std::int64_t m = a.dim(options.trans_a ? 1 : 0);
  const std::int64_t k = a.dim(options.trans_a ? 0 : 1);
  const std::int64_t n = b.dim(options.trans_b ? 0 : 1);
  Tensor y = Tensor::zeros({m, n}, DType::f64);
  auto* sums = y.write<double>();
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t l = 0; l < k; ++l) {
        sums[i * n + j] += a.at(options.trans_a ? l * m + i : i * k + l) *
                           b.at(options.trans_b ? j * k + l : l * n + j);
      }
    }
  }
  return y;
}

Shape stored(std::int64_t rows, std::int64_t columns, bool trans) {
  return trans ? Shape{columns, rows} : Shape{rows, columns};
}

Shape batched(std::int64_t batch, const Shape& shape) { return {batch, shape[0], shape[1]}; }

}  // namespace

TEST_CASE("matmul: equals three plain loops for every transposition, wide, tall and degenerate") {
  for (const MatmulOptions options : all_options) {
    for (const auto& [m, n, k] : {std::array{3, 4, 5}, std::array{1, 7, 2}, std::array{6, 1, 1},
                                  std::array{20, 3, 33}, std::array{1, 1, 64}}) {
      const Tensor a = normal(1, stored(m, k, options.trans_a));
      const Tensor b = normal(2, stored(k, n, options.trans_b));
      const Tensor expected = plain_product(a, b, options);
      CAPTURE(a.shape());
      CAPTURE(b.shape());
      CHECK(max_abs_diff(matmul(a, b, options).value(), expected) <= 1e-13);
      const Tensor y = matmul(a.to(DType::f32), b.to(DType::f32), options).value();
      CHECK(max_abs_diff(y.to(DType::f64), expected) <= 1e-5);
    }
  }
}

TEST_CASE("matmul: empty products are empty, or zero where only the inner extent is empty") {
  CHECK(matmul(Tensor({0, 3}), Tensor({3, 2})).shape() == Shape{0, 2});
  CHECK(matmul(Tensor({2, 3}), Tensor({3, 0})).shape() == Shape{2, 0});
  CHECK(matmul(Tensor({0, 2, 3}), Tensor({0, 3, 4})).shape() == Shape{0, 2, 4});
  for (const DType dtype : {DType::f32, DType::f64}) {
    { const Tensor dirty = Tensor::full({40, 40}, 7, dtype); }  // its block is handed out again
    const Tensor y = matmul(Tensor({40, 0}, dtype), Tensor({0, 40}, dtype)).value();
    CHECK(max_abs_diff(y, Tensor::zeros({40, 40}, dtype)) == 0);
  }
}

TEST_CASE("matmul: vjp and jvp match finite differences for every transposition") {
  for (const MatmulOptions options : all_options) {
    const auto f = [=](const Vars& in) { return matmul(in[0], in[1], options); };
    for (const auto& [m, n, k] : {std::array{3, 4, 5}, std::array{5, 2, 3}, std::array{1, 4, 1}}) {
      const Shape a = stored(m, k, options.trans_a);
      const Shape b = stored(k, n, options.trans_b);
      CHECK(gradcheck("matmul", f, {normal(3, a), normal(4, b)}));
      CHECK(gradcheck("matmul", f, {normal(5, batched(3, a)), normal(6, batched(3, b))}));
    }
  }
  const Tensor a = normal(7, {3, 3});
  const Tensor b = normal(8, {3, 3});
  CHECK(gradcheck("a a^T",
                  [](const Vars& in) {
                    return matmul(in[0], in[0], {false, true});
                  },
                  {a}));
  CHECK(gradcheck("a const", [&](const Vars& in) { return matmul(in[0], b); }, {a}));
  CHECK(gradcheck("const a", [&](const Vars& in) { return matmul(b, in[0]); }, {a}));
}

TEST_CASE("matmul: is adjoint to its vjp in each operand") {
  for (const MatmulOptions options : all_options) {
    const Shape a = stored(30, 50, options.trans_a);
    const Shape b = stored(50, 20, options.trans_b);
    for (const auto& [dtype, tolerance] : {std::pair{DType::f32, 1e-6}, {DType::f64, 1e-14}}) {
      const Tensor left = normal(9, a, dtype);
      const Tensor right = normal(10, b, dtype);
      CHECK(adjoint_test(
          "a", [&](const Var& x) { return matmul(x, right, options); }, a, dtype, tolerance));
      CHECK(adjoint_test(
          "b", [&](const Var& x) { return matmul(left, x, options); }, b, dtype, tolerance));
    }
  }
}

TEST_CASE("matmul: a batch equals its matrices one by one") {
  for (const MatmulOptions options : all_options) {
    for (const auto& [dtype, tolerance] : {std::pair{DType::f32, 1e-6}, {DType::f64, 1e-13}}) {
      for (const std::int64_t extent : {3, 64, 150}) {
        const Tensor a = normal(11, {5, extent, extent}, dtype);
        const Tensor b = normal(12, {5, extent, extent}, dtype);
        const Tensor y = matmul(a, b, options).value();
        for (std::int64_t i = 0; i < 5; ++i) {
          const Shape matrix{extent, extent};
          const Tensor one =
              matmul(a.rows(i, i + 1).reshaped(matrix), b.rows(i, i + 1).reshaped(matrix), options)
                  .value();
          CHECK(max_abs_diff(y.rows(i, i + 1).reshaped(matrix), one) <= tolerance * max_abs(one));
        }
      }
    }
  }
}

TEST_CASE("matmul, affine: one and many threads agree to rounding") {
  const int threads = num_threads();
  const Tensor a = normal(13, {40, 60, 60}, DType::f32);
  const Tensor b = normal(14, {40, 60, 60}, DType::f32);
  const Tensor x = normal(15, {300, 200}, DType::f32);
  const Tensor w = normal(16, {250, 200}, DType::f32);
  const Tensor bias = normal(17, {250}, DType::f32);
  set_num_threads(1);
  const Tensor batch_one = matmul(a, b).value();
  const Tensor affine_one = affine(x, w, bias).value();
  set_num_threads(4);
  const Tensor batch_four = matmul(a, b).value();
  const Tensor affine_four = affine(x, w, bias).value();
  set_num_threads(threads);
  CHECK(max_abs_diff(batch_one, batch_four) <= 1e-6 * max_abs(batch_one));
  CHECK(max_abs_diff(affine_one, affine_four) <= 1e-6 * max_abs(affine_one));
}

TEST_CASE("matmul: keeps only the operands a wanted gradient needs") {
  Tape tape;
  const Var a = tape.leaf(normal(18, {3, 3}));
  Tensor b = normal(19, {3, 3});
  Tensor c = a.value();
  const Var y = matmul(a, b);
  c.write<double>()[0] = 1;  // a itself is not needed for grad_a
  CHECK_NOTHROW(tape.backward(y, Tensor::eye(3, DType::f64), {.retain = true}));
  b.write<double>()[0] = 1;
  CHECK_THROWS_WITH_AS(tape.backward(y, Tensor::eye(3, DType::f64)),
                       "matmul: expected the saved value of shape [3, 3] as it was recorded, got "
                       "one that was overwritten since",
                       Error);
}

TEST_CASE("affine: is x w^T + bias, with and without bias, for one row and for none") {
  const Tensor w = normal(20, {4, 6});
  const Tensor bias = normal(21, {4});
  for (const std::int64_t rows : {0, 1, 9}) {
    const Tensor x = normal(22, {rows, 6});
    Tensor expected = plain_product(x, w, {.trans_b = true});
    CHECK(max_abs_diff(affine(x, w).value(), expected) <= 1e-13);
    auto* y = expected.write<double>();
    for (std::int64_t i = 0; i < expected.size(); ++i) y[i] += bias.at(i % 4);
    CHECK(max_abs_diff(affine(x, w, bias).value(), expected) <= 1e-13);
    const Tensor y32 =
        affine(x.to(DType::f32), w.to(DType::f32), bias.to(DType::f32)).value().to(DType::f64);
    CHECK(max_abs_diff(y32, expected) <= 1e-5);
  }
}

TEST_CASE("affine: vjp and jvp match finite differences for every set of recorded inputs") {
  const Tensor w = normal(23, {4, 6});
  const Tensor bias = normal(24, {4});
  for (const std::int64_t rows : {1, 5}) {
    const Tensor x = normal(25, {rows, 6});
    const auto all = [](const Vars& in) { return affine(in[0], in[1], in[2]); };
    CHECK(gradcheck("affine", all, {x, w, bias}));
    const auto two = [](const Vars& in) { return affine(in[0], in[1]); };
    CHECK(gradcheck("affine", two, {x, w}));
    CHECK(gradcheck("x", [&](const Vars& in) { return affine(in[0], w, bias); }, {x}));
    CHECK(gradcheck("w", [&](const Vars& in) { return affine(x, in[0], bias); }, {w}));
    CHECK(gradcheck("bias", [&](const Vars& in) { return affine(x, w, in[0]); }, {bias}));
  }
}

TEST_CASE("affine: an empty batch gives zero gradients of w and bias") {
  Tape tape;
  const Var w = tape.leaf(normal(26, {4, 6}));
  const Var bias = tape.leaf(normal(27, {4}));
  tape.backward(affine(Tensor({0, 6}, DType::f64), w, bias), Tensor({0, 4}, DType::f64));
  CHECK(max_abs(w.grad()) == 0);
  CHECK(max_abs(bias.grad()) == 0);
}

TEST_CASE("affine: a batch equals its rows one by one") {
  for (const auto& [dtype, tolerance] : {std::pair{DType::f32, 1e-6}, {DType::f64, 1e-13}}) {
    const Tensor x = normal(28, {33, 200}, dtype);
    const Tensor w = normal(29, {70, 200}, dtype);
    const Tensor bias = normal(30, {70}, dtype);
    const Tensor y = affine(x, w, bias).value();
    for (std::int64_t i = 0; i < 33; ++i) {
      const Tensor row = affine(x.rows(i, i + 1), w, bias).value();
      CHECK(max_abs_diff(y.rows(i, i + 1), row) <= tolerance * max_abs(y));
    }
  }
}

TEST_CASE("matmul, affine: errors name shapes and types") {
  CHECK_THROWS_WITH_AS(matmul(Tensor({64, 784}), Tensor({512, 10})),
                       "matmul: expected equal inner extents, got [64, 784] and [512, 10]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(matmul(Tensor({3, 4}), Tensor({4, 5}), {true, true}),
                       "matmul: expected equal inner extents, got [3, 4]^T and [4, 5]^T",
                       ShapeError);
  CHECK_THROWS_WITH_AS(
      matmul(Tensor({3}), Tensor({3, 4})),
      "matmul: expected two matrices or two batches of matrices, got [3] and [3, 4]", ShapeError);
  CHECK_THROWS_WITH_AS(matmul(Tensor({2, 3, 4}), Tensor({5, 4, 3})),
                       "matmul: expected equal batch extents, got [2, 3, 4] and [5, 4, 3]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(matmul(Tensor({3, 4}), Tensor({4, 3}, DType::f64)),
                       "matmul: expected equal element types, got f32 and f64", ShapeError);
  CHECK_THROWS_WITH_AS(matmul(Tensor({3, 4}, DType::u8), Tensor({4, 3}, DType::u8)),
                       "matmul: expected f32 or f64, got u8", ShapeError);
  CHECK_THROWS_WITH_AS(affine(Tensor({64, 784}), Tensor({10, 512})),
                       "affine: expected x of shape [N, in] and w of shape [out, in], got "
                       "[64, 784] and [10, 512]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(affine(Tensor({2, 3}), Tensor({4, 3}), Tensor({3})),
                       "affine: expected bias of shape [4] and type f32, got [3] and f32",
                       ShapeError);
  CHECK_THROWS_WITH_AS(affine(Tensor({2, 3}), Tensor({4, 3}, DType::f64)),
                       "affine: expected equal element types, got f32 and f64", ShapeError);
}

TEST_SUITE_END();
