#include <doctest/doctest.h>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/adjoint_kernel.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/conv_exp.hpp>
#include <isotape/ops/elementwise.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/conv_exp");

namespace {

Tensor normal(const Shape& shape, std::uint64_t seed, DType dtype = DType::f64) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, dtype);
}

struct Case {
  Shape x;
  Shape l;
  int groups;
  int dilation = 1;
};
const std::vector<Case> cases = {{{2, 4, 5, 3}, {3, 3, 3, 3}, 1},
                                 {{1, 3, 3, 4}, {4, 1, 1, 4}, 1},
                                 {{2, 1, 1, 2}, {2, 3, 3, 2}, 1},
                                 {{1, 3, 4, 4}, {4, 3, 5, 2}, 2},
                                 {{2, 5, 4, 4}, {4, 3, 3, 2}, 2, 2}};

// The sum from the definition, by conv2d and its tape.
Var by_definition(const Var& x, const Var& l, int terms, PadMode border, int groups,
                  int dilation = 1) {
  const int h = static_cast<int>(l.shape()[1]) / 2 * dilation;
  const int v = static_cast<int>(l.shape()[2]) / 2 * dilation;
  Var power = x;
  Var y = x;
  for (int i = 1; i < terms; ++i) {
    power = scale(conv2d(power, l, {},
                         {.groups = groups,
                          .dilation = dilation,
                          .border = {h, h, v, v},
                          .border_mode = border}),
                  1.0 / i);
    y = y + power;
  }
  return y;
}

}  // namespace

TEST_CASE("conv_exp: the series, its gradients and tangents, as conv2d has them term by term") {
  for (const Case& c : cases) {
    for (const PadMode border : {PadMode::zero, PadMode::circular}) {
      for (const int terms : {1, 2, 3, 7}) {
        CAPTURE(c.l);
        CAPTURE(terms);
        Tape tape;
        const Var x = tape.leaf(normal(c.x, 1));
        const Var l = tape.leaf(normal(c.l, 2));
        const Tensor dy = normal(c.x, 3);
        const Var y = conv_exp(x, l, terms, border, c.groups, c.dilation);
        const Var expected = by_definition(x, l, terms, border, c.groups, c.dilation);
        const double size = max_abs(expected.value());
        CHECK(max_abs_diff(y.value(), expected.value()) <= 1e-13 * size);
        const Tensors tangents = {normal(c.x, 4), normal(c.l, 5)};
        const Vars both = {y, expected};
        const Vars leaves = {x, l};
        const Tensors dys = tape.jvp(both, leaves, tangents);
        CHECK(max_abs_diff(dys[0], dys[1]) <= 1e-12 * max_abs(dys[1]));
        tape.backward(y, dy, {.retain = true});
        const Tensor grad_x = x.grad();
        const Tensor grad_l = l.grad();
        tape.clear_grads();
        tape.backward(expected, dy);
        CHECK(max_abs_diff(grad_x, x.grad()) <= 1e-12 * max_abs(x.grad()));
        if (terms == 1) {
          CHECK(max_abs(grad_l) == 0);
        } else {
          CHECK(max_abs_diff(grad_l, l.grad()) <= 1e-12 * max_abs(l.grad()));
        }
      }
    }
  }
}

TEST_CASE("conv_exp: derivatives match finite differences, of one input and of both") {
  for (const Case& c : cases) {
    CAPTURE(c.l);
    const Tensor x = normal(c.x, 6);
    const Tensor l = scale(normal(c.l, 7), 0.3).value();
    const auto both = [&](const Vars& in) {
      return conv_exp(in[0], in[1], 6, PadMode::circular, c.groups, c.dilation);
    };
    const auto of_x = [&](const Vars& in) {
      return conv_exp(in[0], l, 6, PadMode::zero, c.groups, c.dilation);
    };
    const auto of_l = [&](const Vars& in) {
      return conv_exp(x, in[0], 6, PadMode::zero, c.groups, c.dilation);
    };
    CHECK(gradcheck("conv_exp", both, {x, l}, {.points = 4}));
    CHECK(gradcheck("conv_exp in x", of_x, {x}, {.points = 4}));
    CHECK(gradcheck("conv_exp in l", of_l, {l}, {.points = 4}));
  }
}

TEST_CASE("conv_exp: of a skew kernel, orthogonal up to the stated truncation") {
  for (const Case& c : cases) {
    for (const PadMode border : {PadMode::zero, PadMode::circular}) {
      Tensor l = skew_kernel(normal(c.l, 8), c.groups).value();
      const auto norm_of = [&](const auto& f) {
        return singular_values(dense_operator(f, {1, c.x[1], c.x[2], c.x[3]}, DType::f64));
      };
      const auto term = [&](const Var& x) {
        return conv_exp(x, l, 2, border, c.groups, c.dilation) - x;
      };
      l = scale(l, 1 / norm_of(term)[0]).value();
      for (const int terms : {4, 8, 12}) {
        CAPTURE(terms);
        const auto f = [&](const Var& x) {
          return conv_exp(x, l, terms, border, c.groups, c.dilation);
        };
        const std::vector<double> sigma = norm_of(f);
        const double bound = exp_series_bound(1, 0, terms);
        CHECK(sigma.front() <= bound + 1e-14);
        CHECK(sigma.back() >= 2 - bound - 1e-14);
        if (terms == 12) CHECK(std::abs(sigma.front() - 1) < 1e-8);
      }
    }
  }
}

TEST_CASE("conv_exp: images too large to keep are computed again, to the same gradient") {
  const Shape shape{2, 80, 80, 64};  // 3.1 MiB each, of which five fit and six do not
  const Tensor x = normal(shape, 9, DType::f32);
  const Tensor dy = normal(shape, 10, DType::f32);
  const Tensor l = scale(normal({64, 1, 1, 64}, 11, DType::f32), 0.05).value();
  for (const int terms : {6, 7}) {
    Tape tape;
    const Var leaf = tape.leaf(l);
    tape.backward(conv_exp(x, leaf, terms, PadMode::zero), dy);
    const Tensor grad = leaf.grad();
    tape.clear_grads();
    tape.backward(by_definition(x, leaf, terms, PadMode::zero, 1), dy);
    CHECK(max_abs_diff(grad, leaf.grad()) < 2e-5 * max_abs(grad));
  }
}

TEST_CASE("conv_exp: f32 agrees with f64") {
  const Case& c = cases[0];
  const Tensor x = normal(c.x, 12);
  const Tensor l = scale(normal(c.l, 13), 0.2).value();
  const Tensor y = conv_exp(x.to(DType::f32), l.to(DType::f32), 12, PadMode::zero).value();
  const Tensor exact = conv_exp(x, l, 12, PadMode::zero).value();
  CHECK(max_abs_diff(y.to(DType::f64), exact) < 1e-6 * max_abs(exact));
}

TEST_CASE("exp_series_bound: the remainder and the skewness, rounded up") {
  CHECK(exp_series_bound(2, 0, 12) == doctest::Approx(1 + 4096 / 479001600.0).epsilon(1e-14));
  CHECK(exp_series_bound(2, 0, 12) > 1 + 4096 / 479001600.0);
  CHECK(exp_series_bound(0, 0, 1) >= 1);
  CHECK(exp_series_bound(1, 0.5, 3) == doctest::Approx(std::exp(0.5) * 7 / 6));
  CHECK(std::isnan(exp_series_bound(std::nan(""), 0, 3)));
  // Not skew: the sum of the first three terms of exp at 2, a matrix of one entry.
  CHECK(exp_series_bound(2, 2, 3) >= 1 + 2 + 2);
}

TEST_CASE("conv_exp: rejects what does not fit") {
  const Tensor x({1, 2, 2, 3});
  CHECK_THROWS_WITH_AS(conv_exp(Tensor({2, 3}), Tensor({3, 1, 1, 3}), 3, PadMode::zero),
                       "conv_exp: expected x of shape [N, H, W, C], got [2, 3]", ShapeError);
  CHECK_THROWS_WITH_AS(conv_exp(x, Tensor({3, 2, 3, 3}), 3, PadMode::zero),
                       "conv_exp: expected l of type f32 and shape [C, h, w, C/groups] with C = 3, "
                       "groups = 1 and h, w odd, got f32 and [3, 2, 3, 3]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(conv_exp(x, Tensor({3, 3, 3, 3}), 0, PadMode::zero),
                       "conv_exp: expected terms >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(
      conv_exp(x, Tensor({3, 7, 3, 3}), 3, PadMode::circular),
      "conv_exp: expected a circular border within the image [1, 2, 2, 3], got a kernel [3, 7, 3, "
      "3]",
      ValueError);
  CHECK_THROWS_WITH_AS(conv_exp(x, Tensor({3, 3, 3, 3}), 3, PadMode::circular, 1, 0),
                       "conv_exp: expected dilation >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(
      conv_exp(x, Tensor({3, 3, 3, 3}), 3, PadMode::circular, 1, 3),
      "conv_exp: expected a circular border within the image [1, 2, 2, 3], got a kernel [3, 3, 3, "
      "3] of dilation 3",
      ValueError);
  CHECK_THROWS_WITH_AS(exp_series_bound(1, 0, 0), "exp_series_bound: expected terms >= 1, got 0",
                       ValueError);
}

TEST_SUITE_END();
