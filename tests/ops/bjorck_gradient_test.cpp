#include <doctest/doctest.h>
#include <algorithm>

#include <isotape/core/gradcheck.hpp>
#include <isotape/ops/bjorck.hpp>

#include "spectrum.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("ops/bjorck");

namespace {

const std::vector<Shape> shapes = {{8, 8}, {12, 5}, {5, 12}, {1, 6}, {6, 1}, {1, 1}};

std::function<Var(const Vars&)> with(const BjorckOptions& options) {
  return [options](const Vars& in) { return bjorck(in[0], options); };
}

Tensor sample(const Shape& shape, const std::vector<double>& sigma, std::uint64_t seed) {
  Rng rng(seed);
  return with_spectrum(rng, shape[0], shape[1], sigma);
}

std::int64_t small_side(const Shape& shape) { return std::min(shape[0], shape[1]); }

}  // namespace

TEST_CASE("bjorck: the gradient of the polar factor matches finite differences") {
  for (const double kappa : {1.0, 10.0}) {
    for (const Shape& shape : shapes) {
      CAPTURE(kappa);
      CAPTURE(shape);
      const Tensor w = sample(shape, geometric(small_side(shape), kappa), 3);
      // The polar factor of a number is its sign: the gradient vanishes.
      CHECK(gradcheck("bjorck", with({}), {w},
                      {.step = 2e-3 / kappa, .points = 6, .may_vanish = shape.size() == 1}));
    }
  }
}

TEST_CASE("bjorck: the gradient holds for ill-conditioned matrices") {
  // More than 64 entries: single entries of the Jacobian differ by the factor kappa, and the small
  // ones drown in the rounding of the large ones.
  for (const double kappa : {300.0, 1e3, 1e4}) {
    for (const Shape& shape : {Shape{9, 9}, Shape{13, 6}, Shape{6, 13}}) {
      CAPTURE(kappa);
      CAPTURE(shape);
      const Tensor w = sample(shape, geometric(small_side(shape), kappa), 5);
      CHECK(gradcheck("bjorck", with({}), {w}, {.step = 2e-3 / kappa, .points = 6}));
    }
  }
}

TEST_CASE("bjorck: the gradient of a fixed number of steps matches finite differences") {
  for (const int order : {1, 2, 3, 4}) {
    for (const int steps : {1, 3, 5, 20}) {
      for (const Shape& shape : shapes) {
        CAPTURE(order);
        CAPTURE(steps);
        CAPTURE(shape);
        const Tensor w = sample(shape, geometric(small_side(shape), 10), 4);
        // Of a number, the steps converge to the sign.
        CHECK(gradcheck("bjorck", with({.order = order, .iterations = steps, .prescale = 1.2}), {w},
                        {.step = 1e-3, .points = 6, .may_vanish = shape.size() == 1 && steps > 1}));
      }
    }
  }
}

TEST_CASE("bjorck: steps that do not converge have their own gradient") {
  // kappa 300 and 1e3 after 1 to 20 steps, and singular values that stay tiny, vanish, or coincide.
  const std::vector<std::vector<double>> spectra = {geometric(9, 300),
                                                    geometric(9, 1e3),
                                                    {1, 1, 1, 1, 1, 1, 1, 1, 1},
                                                    {1, 1, 1, 0.5, 0.5, 0.5, 0.3, 0.1, 0.1},
                                                    {1, 1, 0.7, 0.5, 1e-5, 1e-5, 1e-9, 1e-9, 1e-14},
                                                    {1, 1, 1, 0.5, 0.5, 0, 0, 0, 0}};
  for (const std::vector<double>& sigma : spectra) {
    for (const int steps : {1, 3, 5, 20}) {
      for (const Shape& shape : {Shape{9, 9}, Shape{12, 9}, Shape{9, 12}}) {
        CAPTURE(sigma.back());
        CAPTURE(steps);
        CAPTURE(shape);
        // 20 steps bend within 1.5^-20 = 3e-4 of zero.
        CHECK(gradcheck("bjorck", with({.iterations = steps, .prescale = 1.0}),
                        {sample(shape, sigma, 6)},
                        {.step = steps == 20 ? 2e-6 : 1e-3, .points = 6}));
      }
    }
  }
}

TEST_CASE("bjorck: equal singular values need no care") {
  for (const std::vector<double>& sigma :
       {std::vector<double>{1, 1, 1, 1}, {2, 2, 1, 1}, {1, 1, 0.1, 0.1}}) {
    for (const Shape& shape : {Shape{4, 4}, Shape{6, 4}, Shape{4, 6}}) {
      CAPTURE(shape);
      CHECK(gradcheck("bjorck", with({}), {sample(shape, sigma, 7)},
                      {.step = 2e-3 * sigma.back() / sigma[0], .points = 6}));
    }
  }
}

TEST_CASE("bjorck: the gradient holds on the fast path and for many matrices in one node") {
  Rng rng(8);
  const Tensors ws = {with_spectrum(rng, 4, 4, geometric(4, 5)),
                      with_spectrum(rng, 3, 7, geometric(3, 5)),
                      random_normal(rng, {2, 4, 3}, 1, DType::f64)};
  for (const BjorckPath path : {BjorckPath::exact, BjorckPath::fast}) {
    for (const int steps : {0, 2}) {
      const BjorckOptions options{.path = path, .iterations = steps, .prescale = 3.0};
      CHECK(gradcheck("bjorck", [&](const Vars& in) { return bjorck(in, options); }, ws,
                      {.step = 1e-4, .points = 6}));
    }
  }
}

TEST_SUITE_END();
