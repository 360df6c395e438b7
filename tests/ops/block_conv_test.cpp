#include <doctest/doctest.h>
#include <algorithm>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/block_conv.hpp>
#include "block_matrix.hpp"

using namespace isotape;
using namespace isotape::reference;

TEST_SUITE_BEGIN("ops/block_conv");

namespace {

// The definition in the header, term by term.
Tensor kernel_by_definition(const Tensor& stack, std::int64_t c_in, std::int64_t c_out) {
  const Grid b = fold_blocks(stack);
  const Matrix h = matrix_of(stack, 0, c_in, c_out);
  Tensor kernel({c_out, b.k, b.k, c_in}, DType::f64);
  auto* w = kernel.write<double>();
  for (std::int64_t row = 0; row < b.k; ++row) {
    for (std::int64_t column = 0; column < b.k; ++column) {
      const Matrix& tap = b.at(column, row);
      const Matrix hb = c_in <= c_out ? transposed(product(h, tap)) : product(transposed(h), tap);
      for (std::int64_t o = 0; o < c_out; ++o) {
        for (std::int64_t i = 0; i < c_in; ++i) {
          w[((o * b.k + row) * b.k + column) * c_in + i] = hb[o][i];
        }
      }
    }
  }
  return kernel;
}

}  // namespace

TEST_CASE("bcop_kernel: equals its definition, term by term") {
  for (const Channels& channels : channel_pairs) {
    const std::int64_t c_in = channels.in;
    const std::int64_t c_out = channels.out;
    for (std::int64_t k = 1; k <= 5; ++k) {
      CAPTURE(c_in);
      CAPTURE(c_out);
      CAPTURE(k);
      const Tensor orthogonal = draw(k, std::max(c_in, c_out), 7 + k);
      const Tensor kernel = bcop_kernel(orthogonal, c_in, c_out).value();
      CHECK(kernel.shape() == Shape{c_out, k, k, c_in});
      CHECK(max_abs_diff(kernel, kernel_by_definition(orthogonal, c_in, c_out)) < 1e-14);
      const Tensor single = bcop_kernel(orthogonal.to(DType::f32), c_in, c_out).value();
      CHECK(single.dtype() == DType::f32);
      CHECK(max_abs_diff(single.to(DType::f64), kernel) < 2e-6);
    }
  }
}

TEST_CASE("bcop_kernel: vjp and jvp match finite differences") {
  for (const Channels& channels : channel_pairs) {
    const std::int64_t c_in = channels.in;
    const std::int64_t c_out = channels.out;
    for (std::int64_t k = 1; k <= 5; ++k) {
      CAPTURE(c_in);
      CAPTURE(c_out);
      CAPTURE(k);
      // Any matrices will do: the kernel is a polynomial in them.
      Rng rng(3);
      const std::int64_t c = std::max(c_in, c_out);
      const Tensor at = random_normal(rng, {2 * k - 1, c, c}, 0.6, DType::f64);
      CHECK(gradcheck("bcop_kernel",
                      [=](const Vars& in) { return bcop_kernel(in[0], c_in, c_out); }, {at},
                      {.directions = 2, .points = 4}));
    }
  }
}

TEST_CASE("bcop_kernel: the projectors are symmetric, idempotent and of rank floor(c/2)") {
  for (const std::int64_t c : {2, 3, 6, 7}) {
    // The second matrix alone: with H = I and Q of rank 0, tap (row 1, column 0) of the kernel is
    // P.
    Tensor orthogonal = draw(2, c, 5);
    auto* data = orthogonal.write<double>();
    for (std::int64_t i = 0; i < c * c; ++i) data[i] = i / c == i % c ? 1 : 0;
    for (std::int64_t i = 2 * c * c; i < 3 * c * c; ++i) data[i] = 0;
    const Tensor p = tap_of(bcop_kernel(orthogonal, c, c).value(), 1, 0);
    double trace = 0;
    for (std::int64_t i = 0; i < c; ++i) {
      trace += p.at(i * c + i);
      for (std::int64_t j = 0; j < c; ++j) {
        double squared = 0;
        for (std::int64_t l = 0; l < c; ++l) squared += p.at(i * c + l) * p.at(l * c + j);
        CHECK(std::abs(squared - p.at(i * c + j)) < 1e-14);
        CHECK(std::abs(p.at(i * c + j) - p.at(j * c + i)) < 1e-15);
      }
    }
    const std::int64_t rank = c / 2;
    CHECK(trace == doctest::Approx(static_cast<double>(rank)).epsilon(1e-13));
  }
}

TEST_CASE("bcop_kernel: the taps sum to the transpose of H") {
  for (const Channels& channels : channel_pairs) {
    const std::int64_t c_in = channels.in;
    const std::int64_t c_out = channels.out;
    const Tensor orthogonal = draw(4, std::max(c_in, c_out), 11);
    const Tensor kernel = bcop_kernel(orthogonal, c_in, c_out).value();
    const Matrix h = matrix_of(orthogonal, 0, c_in, c_out);
    for (std::int64_t o = 0; o < c_out; ++o) {
      for (std::int64_t i = 0; i < c_in; ++i) {
        double sum = 0;
        for (std::int64_t tap = 0; tap < 16; ++tap) sum += kernel.at((o * 16 + tap) * c_in + i);
        CHECK(std::abs(sum - h[i][o]) < 1e-14);
      }
    }
  }
}

TEST_CASE("bcop_kernel: k = 1 is the transpose of H, also where c_in < c_out") {
  const Tensor orthogonal = draw(1, 3, 2);
  const Tensor kernel = bcop_kernel(orthogonal, 2, 3).value();
  CHECK(kernel.shape() == Shape{3, 1, 1, 2});
  for (std::int64_t o = 0; o < 3; ++o) {
    for (std::int64_t i = 0; i < 2; ++i) CHECK(kernel.at(o * 2 + i) == orthogonal.at(i * 3 + o));
  }
}

TEST_CASE("bcop_kernel: one channel is a shift of sign H to the last tap") {
  const Tensor kernel =
      bcop_kernel(Tensor::of({-1, 1, 1, -1, 1}, {5, 1, 1}, DType::f64), 1, 1).value();
  for (std::int64_t tap = 0; tap < 9; ++tap) CHECK(kernel.at(tap) == (tap == 8 ? -1 : 0));
}

TEST_CASE("bcop_kernel: every matrix moves the kernel and has a gradient") {
  // An implementation that folds the first block twice and never the last is still orthogonal.
  for (std::int64_t k = 1; k <= 5; ++k) {
    const Tensor orthogonal = draw(k, 4, 17);
    Rng rng(1);
    Tape tape;
    const Var leaf = tape.leaf(orthogonal);
    const Var kernel = bcop_kernel(leaf, 3, 4);
    tape.backward(kernel, random_normal(rng, kernel.shape(), 1, DType::f64));
    for (std::int64_t t = 0; t < 2 * k - 1; ++t) {
      CAPTURE(k);
      CAPTURE(t);
      CHECK(frobenius_norm(leaf.grad().rows(t, t + 1)) > 0.1);
      Tensor changed = orthogonal.clone();
      const Tensor other = draw(1, 4, 100 + t);
      std::copy_n(other.data<double>(), 16, changed.write<double>() + t * 16);
      CHECK(max_abs_diff(bcop_kernel(changed, 3, 4).value(), kernel.value()) > 0.05);
      for (std::int64_t i = 0; i < 16; ++i) {
        const bool masked = t == 0 ? i / 4 >= 3 : i % 4 >= 2;
        if (masked) CHECK(leaf.grad().at(t * 16 + i) == 0);
      }
    }
  }
}

TEST_CASE("bcop_kernel: one and two threads agree") {
  const Tensor orthogonal = draw(3, 48, 41);
  const auto gradient = [&] {
    Tape tape;
    const Var leaf = tape.leaf(orthogonal);
    const Var kernel = bcop_kernel(leaf, 40, 48);
    tape.backward(kernel, kernel.value().clone());
    return leaf.grad();
  };
  const int threads = num_threads();
  set_num_threads(1);
  const Tensor one = gradient();
  set_num_threads(2);
  const Tensor two = gradient();
  set_num_threads(threads);
  CHECK(max_abs_diff(one, two) < 1e-13);
}

TEST_CASE("bcop_kernel: rejects what is not a list of matrices H, P1, Q1, ..") {
  CHECK_THROWS_WITH_AS(bcop_kernel(Tensor({4, 8, 8}), 8, 3),
                       "bcop_kernel: expected orthogonal of shape [2k-1, 8, 8], got [4, 8, 8]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(bcop_kernel(Tensor({3, 8, 8}), 7, 3),
                       "bcop_kernel: expected orthogonal of shape [2k-1, 7, 7], got [3, 8, 8]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(bcop_kernel(Tensor({3, 8, 8}), 8, 0),
                       "bcop_kernel: expected c_in, c_out >= 1, got 8 and 0", ValueError);
  CHECK_THROWS_WITH_AS(bcop_kernel(Tensor({1, 1, 1}, DType::u8), 1, 1),
                       "bcop_kernel: expected f32 or f64, got u8", ShapeError);
}

TEST_SUITE_END();
