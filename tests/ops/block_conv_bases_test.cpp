#include <doctest/doctest.h>
#include <algorithm>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/ops/block_conv.hpp>
#include <isotape/ops/reshape.hpp>
#include "block_matrix.hpp"

using namespace isotape;
using namespace isotape::reference;

TEST_SUITE_BEGIN("ops/block_conv_bases");

namespace {

// H and the bases that lie in a list H, P1, Q1, ...
struct Split {
  Tensor h;
  Tensor bases;
};

Split split(const Tensor& orthogonal) {
  const std::int64_t c = orthogonal.dim(2);
  return {slice(orthogonal, 0, 0, 1).value(),
          slice(slice(orthogonal, 0, 1, orthogonal.dim(0)), 2, 0, c / 2).value()};
}

const std::vector<Channels> many_channels = {{4, 4}, {3, 3}, {2, 5}, {5, 2},
                                             {1, 4}, {4, 1}, {3, 6}, {6, 3}};

}  // namespace

TEST_CASE(
    "bcop_kernel of bases: is the kernel of the matrices they are columns of, with its "
    "gradient") {
  for (const Channels& channels : many_channels) {
    for (std::int64_t k = 2; k <= 4; ++k) {
      CAPTURE(channels.in);
      CAPTURE(channels.out);
      CAPTURE(k);
      const Tensor orthogonal = draw(k, std::max(channels.in, channels.out), 7 + k);
      const Split parts = split(orthogonal);
      Tape tape;
      const Var list = tape.leaf(orthogonal);
      const Var h = tape.leaf(parts.h);
      const Var bases = tape.leaf(parts.bases);
      const Var expected = bcop_kernel(list, channels.in, channels.out);
      const Var kernel = bcop_kernel(h, bases, channels.in, channels.out);
      CHECK(kernel.shape() == expected.shape());
      CHECK(max_abs_diff(kernel.value(), expected.value()) <= 1e-15);
      Rng rng(2);
      const Tensor dy = random_normal(rng, kernel.shape(), 1, DType::f64);
      tape.backward(expected, dy);
      tape.backward(kernel, dy);
      const Split gradient = split(list.grad());
      CHECK(max_abs_diff(h.grad(), gradient.h) <= 1e-14);
      CHECK(max_abs_diff(bases.grad(), gradient.bases) <= 1e-14);
      // H may be a matrix as well as a list of one.
      const std::int64_t c = parts.h.dim(1);
      const Tensor plain =
          bcop_kernel(parts.h.reshaped({c, c}), parts.bases, channels.in, channels.out).value();
      CHECK(max_abs_diff(plain, kernel.value()) == 0);
    }
  }
}

TEST_CASE("bcop_kernel of bases: vjp and jvp match finite differences, for each input alone too") {
  for (const Channels& channels : many_channels) {
    for (std::int64_t k = 2; k <= 4; ++k) {
      CAPTURE(channels.in);
      CAPTURE(channels.out);
      CAPTURE(k);
      Rng rng(3);
      const std::int64_t c = std::max(channels.in, channels.out);
      const Tensor h = random_normal(rng, {c, c}, 0.6, DType::f64);
      const Tensor bases = random_normal(rng, {2 * (k - 1), c, c / 2}, 0.6, DType::f64);
      const GradcheckOptions options{.directions = 2, .points = 4};
      const auto kernel = [&](const Var& x, const Var& y) {
        return bcop_kernel(x, y, channels.in, channels.out);
      };
      CHECK(gradcheck(
          "bcop_kernel", [&](const Vars& in) { return kernel(in[0], in[1]); }, {h, bases},
          options));
      CHECK(gradcheck(
          "bcop_kernel", [&](const Vars& in) { return kernel(in[0], bases); }, {h}, options));
      CHECK(gradcheck(
          "bcop_kernel", [&](const Vars& in) { return kernel(h, in[0]); }, {bases}, options));
    }
  }
}

TEST_CASE("bcop_kernel of bases: rejects what is not H and bases of rank floor(c/2)") {
  const Tensor h({1, 8, 8});
  const Tensor bases({4, 8, 4});
  CHECK_THROWS_WITH_AS(bcop_kernel(Tensor({2, 8, 8}), bases, 8, 3),
                       "bcop_kernel: expected h of shape [1, 8, 8] or [8, 8], got [2, 8, 8]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(bcop_kernel(h, Tensor({4, 8, 8}), 8, 3),
                       "bcop_kernel: expected bases of shape [2(k-1), 8, 4], got [4, 8, 8]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(bcop_kernel(h, Tensor({3, 8, 4}), 8, 3),
                       "bcop_kernel: expected bases of shape [2(k-1), 8, 4], got [3, 8, 4]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(bcop_kernel(h, bases, 0, 8),
                       "bcop_kernel: expected c_in, c_out >= 1, got 0 and 8", ValueError);
  CHECK_THROWS_WITH_AS(bcop_kernel(h, Tensor({4, 8, 4}, DType::f64), 8, 3),
                       "bcop_kernel: expected h and bases of one type, got f32 and f64",
                       ShapeError);
}

TEST_SUITE_END();
