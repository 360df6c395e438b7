#include <doctest/doctest.h>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/fourier_conv.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/layers/sandwich_conv.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/kernel_symbol.hpp>
#include <isotape/ops/pixel_shuffle.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/fourier_conv");

namespace {

std::unique_ptr<Module> build(const std::string& type, const Shape& input, std::int64_t out,
                              std::int64_t stride = 1) {
  const LayerSpec spec{"conv", type, {{"out", out}, {"stride", stride}}};
  return build_layer(spec, input, 10, Rng(1));
}

// x moved by (i, j) pixels on the torus.
Tensor moved(const Tensor& x, std::int64_t i, std::int64_t j) {
  Tensor y(x.shape(), x.dtype());
  const std::int64_t h = x.dim(1);
  const std::int64_t w = x.dim(2);
  const std::int64_t c = x.dim(3);
  for (std::int64_t at = 0; at < x.size(); ++at) {
    const std::int64_t row = (at / c / w % h + i) % h;
    const std::int64_t column = (at / c % w + j) % w;
    const std::int64_t to = ((at / c / w / h * h + row) * w + column) * c + at % c;
    y.write<double>()[to] = x.at(at);
  }
  return y;
}

}  // namespace

TEST_CASE("fourier-conv: matrices of a plain kernel make the plain circular convolution") {
  Rng rng(2);
  const Tensor kernel = random_normal(rng, {3, 3, 3, 8}, 1, DType::f64);
  const Tensor bias = random_normal(rng, {3}, 1, DType::f64);
  const Tensor x = random_normal(rng, {2, 10, 6, 2}, 1, DType::f64);
  const FourierConv2d layer({10, 6, 2, 2}, kernel_symbol(kernel, 5, 3).value(), bias);
  const Tensor y = conv2d(pixel_unshuffle(x, 2), kernel, bias, {.border = {1, 1, 1, 1}}).value();
  CHECK(max_abs_diff(layer.forward(x).value(), y) < 1e-13);
  CHECK(layer.output_shape({10, 6, 2}) == Shape{5, 3, 3});
}

TEST_CASE("cayley-conv, lot, sandwich-conv: move with the image, even and odd sizes") {
  Rng rng(3);
  for (const std::string type : {"cayley-conv", "lot", "sandwich-conv"}) {
    for (const Shape& size : {Shape{5, 5, 3}, {4, 7, 3}, {6, 4, 3}}) {
      CAPTURE(type);
      CAPTURE(size);
      const auto plain = build(type, size, 4)->materialize(DType::f64);
      const Tensor x = random_normal(rng, {2, size[0], size[1], 3}, 1, DType::f64);
      const Tensor y = plain->forward(x).value();
      CHECK(max_abs_diff(plain->forward(moved(x, 2, 3)).value(), moved(y, 2, 3)) < 1e-6);
    }
  }
}

TEST_CASE("cayley-conv, lot: the defect at every frequency is below what is stated") {
  for (const std::string type : {"cayley-conv", "lot"}) {
    CAPTURE(type);
    for (const std::int64_t out : {5, 12, 20}) {
      const auto layer = build(type, {6, 10, 3}, out, 2);
      CHECK(layer->residual().value < 1e-6);
      CHECK(layer->lipschitz_bound().value < 1 + 5e-7);
      const Spectrum spectrum = layer->spectrum({6, 10, 3});
      CHECK(spectrum.sigma.size() == 15 * std::min<std::int64_t>(12, out));
      CHECK(std::abs(spectrum.sigma.front() - 1) < 5e-7);
      CHECK(std::abs(spectrum.sigma.back() - 1) < 5e-7);
    }
  }
}

TEST_CASE("fourier-conv: the bound holds where rounding broke the symmetry of the spectrum") {
  Rng rng(4);
  const Tensor symbol = random_normal(rng, {9, 2, 3, 2}, 1, DType::f64);
  const FourierConv2d layer({4, 3, 2, 1}, symbol, {});
  const auto sigma = layer.spectrum({4, 3, 2}).sigma;
  CHECK(sigma.size() == 24);
  CHECK(layer.lipschitz_bound().value >= sigma.front());
}

TEST_CASE("sandwich-conv: orthogonality off by a factor is charged, to its square") {
  const auto layer = build("sandwich-conv", {5, 6, 2}, 3);
  const auto plain = layer->materialize(DType::f64);
  const double bound = plain->lipschitz_bound().value;
  CHECK(bound < 1 + 1e-6);
  CHECK(layer->residual().value < 1e-6);
  for (const auto& named : plain->parameters()) {
    if (named.name != "symbol") continue;
    const Tensor larger = scale(named.parameter->value(), 1.01).value();
    named.parameter->write() = larger;
  }
  CHECK(plain->lipschitz_bound().value == doctest::Approx(1.01 * 1.01 * bound).epsilon(1e-10));
}

TEST_CASE("cayley-conv, sandwich-conv: refuse other sizes of image than their own") {
  CHECK_THROWS_WITH_AS(
      build("cayley-conv", {4, 4, 2}, 2)->output_shape({4, 5, 2}),
      "fourier-conv: expected input [4, 4, 2], the size it was made for, got [4, 5, 2]",
      ShapeError);
  CHECK_THROWS_WITH_AS(build("sandwich-conv", {4, 4, 2}, 2)->forward(Tensor({1, 4, 2})),
                       "sandwich-conv: expected a batch [N, H, W, 2], got [1, 4, 2]", ShapeError);
  Rng rng(5);
  CHECK_THROWS_WITH_AS(SandwichConv2d({4, 4, 2, 1}, 2, 3, rng, {.output = true}),
                       "sandwich-conv: expected a dense layer as the output layer", ValueError);
}

TEST_SUITE_END();
