// One battery of tests for every type of layer: after 25 training steps its Jacobian is compared
// with bound and claims, its gradient with finite differences, its plain copy with itself.

#include <doctest/doctest.h>
#include <cmath>
#include <functional>
#include <memory>
#include <string>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/bcop.hpp>
#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/rearrange.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reduce.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/battery");

namespace {

struct Case {
  std::string name;
  std::function<std::unique_ptr<Module>(Rng&)> make;
  Shape input;       // of one sample
  bool is_affine;    // else an activation
  bool has_bound_1;  // claimed, up to rounding
};

template <class Layer, class... Arguments>
auto make(Arguments... arguments) {
  return [=](Rng&) -> std::unique_ptr<Module> { return std::make_unique<Layer>(arguments...); };
}

template <class Parameters>
auto linear(std::int64_t in, std::int64_t out, Parameters parametrization) {
  return [=](Rng& rng) -> std::unique_ptr<Module> {
    return std::make_unique<Linear>(in, out, parametrization, rng);
  };
}

auto bcop(std::int64_t in, std::int64_t out, int kernel, BcopOptions options = {}) {
  return [=](Rng& rng) -> std::unique_ptr<Module> {
    return std::make_unique<BcopConv2d>(in, out, kernel, rng, options);
  };
}

BcopOptions tall() { return {.projectors = Projectors::tall}; }

template <class Parameters>
auto conv(std::int64_t in, std::int64_t out, int kernel, Parameters parametrization,
          Conv2dLayerOptions options = {}) {
  return [=](Rng& rng) -> std::unique_ptr<Module> {
    return std::make_unique<Conv2d>(in, out, kernel, parametrization, rng, options);
  };
}

const std::vector<Case>& cases() {
  static const std::vector<Case> table = {
      {"linear bjorck square", linear(6, 6, Bjorck{}), {6}, true, true},
      {"linear bjorck reducing", linear(8, 3, Bjorck{}), {8}, true, true},
      {"linear bjorck expanding", linear(3, 8, Bjorck{}), {3}, true, true},
      {"linear bjorck 3 steps", linear(6, 4, Bjorck{{.iterations = 3}}), {6}, true, false},
      {"linear cayley square", linear(6, 6, Cayley{}), {6}, true, true},
      {"linear cayley reducing", linear(7, 3, Cayley{}), {7}, true, true},
      {"linear cayley expanding", linear(3, 7, Cayley{}), {3}, true, true},
      {"linear cholesky square", linear(6, 6, CholeskyQr{}), {6}, true, true},
      {"linear cholesky reducing", linear(8, 3, CholeskyQr{}), {8}, true, true},
      {"linear cholesky expanding", linear(3, 8, CholeskyQr{}), {3}, true, true},
      {"linear spectral norm", linear(6, 5, SpectralNorm{}), {6}, true, false},
      {"linear unconstrained", linear(5, 4, Unconstrained{}), {5}, true, false},
      {"bcop square", bcop(4, 4, 3), {6, 6, 4}, true, true},
      {"bcop reducing, odd image", bcop(4, 3, 3), {5, 7, 4}, true, true},
      {"bcop expanding, even kernel", bcop(3, 4, 2), {5, 7, 3}, true, true},
      {"bcop kernel 1", bcop(3, 5, 1), {2, 3, 3}, true, true},
      {"bcop kernel 4", bcop(2, 2, 4), {6, 6, 2}, true, true},
      {"bcop kernel 5, odd channels", bcop(3, 3, 5), {5, 6, 3}, true, true},
      {"bcop stride 2", bcop(1, 6, 4, {.stride = 2}), {6, 8, 1}, true, true},
      {"bcop stride 2, kernel 2", bcop(2, 3, 2, {.stride = 2}), {4, 4, 2}, true, true},
      {"bcop one channel", bcop(1, 1, 3), {4, 5, 1}, true, true},
      {"bcop doubled", bcop(2, 3, 2, {.doubled = true}), {4, 4, 2}, true, true},
      {"bcop frozen", bcop(3, 3, 3, {.frozen = true}), {4, 4, 3}, true, true},
      {"bcop image smaller than kernel", bcop(2, 2, 3), {2, 2, 2}, true, true},
      {"bcop tall", bcop(4, 4, 3, tall()), {6, 6, 4}, true, true},
      {"bcop tall reducing, odd image", bcop(5, 3, 3, tall()), {5, 7, 5}, true, true},
      {"bcop tall expanding, even kernel", bcop(3, 5, 2, tall()), {5, 7, 3}, true, true},
      {"bcop tall kernel 1", bcop(3, 5, 1, tall()), {2, 3, 3}, true, true},
      {"bcop tall stride 2",
       bcop(1, 6, 4, {.stride = 2, .projectors = Projectors::tall}),
       {6, 8, 1},
       true,
       true},
      {"bcop tall one channel", bcop(1, 1, 3, tall()), {4, 5, 1}, true, true},
      {"bcop tall doubled",
       bcop(2, 3, 2, {.doubled = true, .projectors = Projectors::tall}),
       {4, 4, 2},
       true,
       true},
      {"bcop tall frozen",
       bcop(3, 3, 3, {.frozen = true, .projectors = Projectors::tall}),
       {4, 4, 3},
       true,
       true},
      {"rko", conv(2, 4, 3, Bjorck{}), {5, 6, 2}, true, true},
      {"rko isometric", conv(1, 9, 3, Bjorck{}), {5, 5, 1}, true, true},
      {"rko zero padding",
       conv(3, 4, 3, Bjorck{}, {.padding_mode = PadMode::zero}),
       {5, 5, 3},
       true,
       true},
      {"rko stride 2", conv(2, 4, 4, Bjorck{}, {.stride = 2}), {8, 6, 2}, true, true},
      {"rko stride 3, kernel 4", conv(2, 3, 4, Bjorck{}, {.stride = 3}), {9, 9, 2}, true, true},
      {"rko groups", conv(4, 6, 3, Bjorck{}, {.groups = 2}), {4, 5, 4}, true, true},
      {"rko dilation", conv(2, 3, 3, Bjorck{}, {.dilation = 2}), {7, 6, 2}, true, true},
      {"conv cayley", conv(2, 3, 2, Cayley{}), {4, 5, 2}, true, true},
      {"conv cholesky", conv(2, 3, 3, CholeskyQr{}), {5, 6, 2}, true, true},
      {"conv cholesky isometric", conv(1, 9, 3, CholeskyQr{}), {5, 5, 1}, true, true},
      {"conv spectral norm", conv(2, 3, 3, SpectralNorm{}), {5, 5, 2}, true, false},
      {"conv unconstrained", conv(3, 4, 3, Unconstrained{}), {5, 6, 3}, true, false},
      {"conv unconstrained zero",
       conv(3, 4, 2, Unconstrained{}, {.padding_mode = PadMode::zero}),
       {5, 6, 3},
       true,
       false},
      {"conv 1x1 image", conv(3, 3, 1, Unconstrained{}), {1, 1, 3}, true, false},
      {"max-min", make<MaxMin>(), {3, 3, 4}, false, true},
      {"max-min adjacent", make<MaxMin>(Pairing::adjacent), {8}, false, true},
      {"group-sort 3", make<GroupSort>(3), {2, 2, 6}, false, true},
      {"abs", make<Abs>(), {7}, false, true},
      {"relu", make<ReLU>(), {7}, false, true},
      {"pixel-unshuffle", make<PixelUnshuffle>(2), {4, 6, 3}, true, true},
      {"flatten", make<Flatten>(), {2, 3, 4}, true, true},
  };
  return table;
}

Shape batched(std::int64_t n, const Shape& sample) {
  std::vector<std::int64_t> extents{n};
  extents.insert(extents.end(), sample.begin(), sample.end());
  return Shape(extents);
}

// Gradient descent on |f(x) - target|^2 / 2, enough to move every weight off its start.
void train(Module& module, const Shape& input, Rng& rng) {
  for (int step = 0; step < 25; ++step) {
    const Tensor x = random_normal(rng, batched(4, input));
    Tape tape;
    module.prepare();
    const Var y = module.forward(x);
    const Var loss = mean(square(sub(y, random_normal(rng, y.shape()))));
    if (!loss.tape()) return;  // nothing to train
    tape.backward(loss);
    for (const auto& [name, parameter] : module.parameters()) {
      if (!parameter->grad) continue;
      add_in_place(parameter->write(), parameter->grad, -0.05);
      parameter->grad = {};
    }
  }
}

// The Jacobian of a single sample at a random point, by one jvp per entry.
Tensor jacobian(const Module& module, const Shape& input, Rng& rng) {
  const Tensor x = random_normal(rng, batched(1, input), 1, DType::f64);
  Tape tape;
  const Var leaf = tape.leaf(x);
  const Var y = module.forward(leaf);
  const std::int64_t rows = y.value().size();
  Tensor matrix({rows, x.size()}, DType::f64);
  for (std::int64_t j = 0; j < x.size(); ++j) {
    Tensor unit = Tensor::zeros(x.shape(), DType::f64);
    unit.write<double>()[j] = 1;
    const Tensor column = tape.jvp({&y, 1}, {&leaf, 1}, {unit})[0];
    for (std::int64_t i = 0; i < rows; ++i) {
      matrix.write<double>()[i * x.size() + j] = column ? column.at(i) : 0;
    }
  }
  return matrix;
}

}  // namespace

TEST_CASE("every layer: after training, the Jacobian obeys bound and claims") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    Rng rng(5);
    const auto module = c.make(rng);
    train(*module, c.input, rng);
    const auto plain = module->materialize(DType::f64);
    const Tensor matrix = jacobian(*plain, c.input, rng);
    const auto sigma = singular_values(matrix);
    const double bound = module->lipschitz_bound().value;
    CHECK(sigma.front() <= bound);
    if (c.has_bound_1) CHECK(bound <= 1 + 1e-5);
    const NormPreservation kept = module->gnp();
    const bool claims = kept != NormPreservation::none;
    if (claims) CHECK(std::abs(sigma.front() - 1) <= 3e-7);
    if (claims) CHECK(std::abs(sigma.back() - 1) <= 3e-7);
    if (kept == NormPreservation::both) CHECK(matrix.dim(0) == matrix.dim(1));
    if (kept == NormPreservation::forward) CHECK(matrix.dim(0) > matrix.dim(1));
    if (kept == NormPreservation::backward) CHECK(matrix.dim(0) < matrix.dim(1));
    if (c.is_affine) {
      const auto f = [&](const Var& x) { return plain->forward(x); };
      CHECK(max_abs_diff(dense_operator(f, batched(1, c.input), DType::f64), matrix) <= 1e-12);
    }
  }
}

TEST_CASE("every layer: the measured singular values are those of the folded weights' operator") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    Rng rng(5);
    const auto module = c.make(rng);
    train(*module, c.input, rng);
    const Spectrum spectrum = module->spectrum(c.input);
    CAPTURE(spectrum.method);
    REQUIRE(spectrum.sigma.empty() == module->weights().empty());
    if (spectrum.sigma.empty()) continue;
    const auto dense = singular_values(jacobian(*module->materialize(DType::f64), c.input, rng));
    REQUIRE(spectrum.sigma.size() == dense.size());
    for (std::size_t i = 0; i < dense.size(); ++i) {
      CHECK(std::abs(spectrum.sigma[i] - dense[i]) <= 1e-12 * dense[0]);
    }
  }
}

TEST_CASE("conv2d: without a circulant operator, a large one is not measured but bounded") {
  Rng rng(5);
  const Conv2d zero(3, 8, 3, Unconstrained{}, rng, {.padding_mode = PadMode::zero});
  CHECK(zero.spectrum({6, 6, 3}).method == "SVD of the dense operator by impulse response");
  const Spectrum large = zero.spectrum({32, 32, 3});
  CHECK(large.sigma.empty());
  CHECK(large.method == "not measured: no circulant operator, and too large for a dense matrix");
  CHECK_THROWS_WITH_AS(zero.spectrum({6, 6, 4}), "conv2d: expected input [H, W, 3], got [6, 6, 4]",
                       ShapeError);
}

TEST_CASE("every layer: the training-time weights are those of the folded ones to rounding") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    Rng rng(6);
    const auto module = c.make(rng);
    train(*module, c.input, rng);
    const Tensor x = random_normal(rng, batched(3, c.input));
    // Folded before, too: what a power iteration then moves must not leave a stale weight behind.
    module->forward(x);
    Tensor trained;
    {
      Tape tape;
      module->prepare();
      trained = module->forward(x).value();
    }
    CHECK(max_abs_diff(module->forward(x).value(), trained) <= 2e-5);
  }
}

TEST_CASE("every layer: its plain copy has equal outputs and no constraint") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    Rng rng(7);
    const auto module = c.make(rng);
    const auto plain = module->materialize(DType::f32);
    const Tensor x = random_normal(rng, batched(2, c.input));
    CHECK(max_abs_diff(module->forward(x).value(), plain->forward(x).value()) <= 2e-6);
    CHECK(plain->residual().value == 0);
    CHECK(plain->output_shape(c.input) == module->output_shape(c.input));
    CHECK(batched(2, module->output_shape(c.input)) == module->forward(x).shape());
  }
}

TEST_CASE("every layer: the gradient of inputs and parameters matches finite differences") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    if (c.name.find("3 steps") != std::string::npos) continue;   // a scaled map: ops/bjorck
    if (c.name.find("spectral") != std::string::npos) continue;  // vectors are constants
    Rng rng(8);
    const auto module = c.make(rng);
    Tensors at{random_normal(rng, batched(2, c.input), 1, DType::f64)};
    ParameterList parameters;
    for (const NamedParameter& named : module->parameters()) {
      if (!named.parameter->trainable) continue;
      parameters.push_back(named);
      at.push_back(named.parameter->value().to(DType::f64));
    }
    for (const auto& [name, parameter] : module->parameters()) {
      const Tensor wide = parameter->value().to(DType::f64);
      parameter->write() = wide;
    }
    const auto f = [&](const Vars& in) {
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        Parameter& parameter = *parameters[i].parameter;
        parameter.write() = in[i + 1].value();
        if (Tape* tape = Tape::active()) tape->remember(&parameter, parameter.version(), in[i + 1]);
      }
      return module->forward(in[0]);
    };
    // The polar factor of a 1 x 1 matrix is its sign: no gradient.
    const bool may_vanish = c.name.find("one channel") != std::string::npos;
    CHECK(gradcheck(c.name, f, at, {.step = 1e-4, .points = 6, .may_vanish = may_vanish}));
  }
}

TEST_CASE("every layer: a batch equals its samples one by one") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    Rng rng(9);
    const auto module = c.make(rng);
    const Tensor x = random_normal(rng, batched(5, c.input));
    const Tensor y = module->forward(x).value();
    for (std::int64_t i = 0; i < 5; ++i) {
      CHECK(max_abs_diff(module->forward(x.rows(i, i + 1)).value(), y.rows(i, i + 1)) <= 1e-6);
    }
  }
}

TEST_SUITE_END();
