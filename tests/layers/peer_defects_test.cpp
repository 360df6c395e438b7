// What went wrong in other libraries, as seen by running or reading them, each by what goes wrong.
// The first half runs over every registered type of layers.
//
//   OG  orthogonium 0.0.4 (d54ed63)            TL  deel-torchlip 1.0.5 (a477697)
//   LB  LBDN (d81ed68)                         GL  gloro (f04fd23)
//   LC  LConvNet (abc14e1)                     BR  BRONet (9d59c9b)

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/bcop.hpp>
#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/sequential.hpp>
#include <isotape/layers/spectrum.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reduce.hpp>

#include "battery/battery.hpp"

using namespace isotape;
using namespace isotape::battery;

TEST_SUITE_BEGIN("layers/peer_defects");

namespace {

Shape batched(std::int64_t n, const Shape& sample) {
  std::vector<std::int64_t> extents{n};
  extents.insert(extents.end(), sample.begin(), sample.end());
  return Shape(extents);
}

// Calls f(module, inputs) for one layer of every row of the battery.
void for_each_type(const std::function<void(Module&, const Tensor&)>& f) {
  for (const Row& row : rows()) {
    for (const Cell& cell : pairwise_cells(row)) {
      if (!refused_text(row, cell).empty() || cell.input.size() < 8) continue;
      const std::string name = row.name() + ", " + cell.text();
      CAPTURE(name);
      Rng rng(3);
      const auto module = build(row, cell, 1);
      f(*module, random_normal(rng, batched(3, cell.input), 1, cell.dtype));
      break;
    }
  }
}

// The entry outside an image that reflection puts there, without repeating the border.
std::int64_t reflected(std::int64_t at, std::int64_t extent) {
  if (at < 0) return -at;
  return at < extent ? at : 2 * extent - 2 - at;
}

// One pixel more on each side by reflection, of [N, H, W, C].
Tensor reflect(const Tensor& x) {
  const std::int64_t h = x.dim(1);
  const std::int64_t w = x.dim(2);
  const std::int64_t c = x.dim(3);
  Tensor y({x.dim(0), h + 2, w + 2, c}, x.dtype());
  for (std::int64_t i = 0; i < y.size(); ++i) {
    const std::int64_t column = reflected(i / c % (w + 2) - 1, w);
    const std::int64_t row = reflected(i / (c * (w + 2)) % (h + 2) - 1, h);
    const std::int64_t image = i / (c * (w + 2) * (h + 2));
    y.write<double>()[i] = x.at(((image * h + row) * w + column) * c + i % c);
  }
  return y;
}

}  // namespace

// OG accepts it and reaches 1.78 for its orthogonal convolutions; TL reaches 4/3 for RKO.
TEST_CASE("reflect padding exceeds its bound") {
  Rng rng(1);
  const BcopConv2d bcop(4, 4, 3, rng);
  const Tensor kernel = bcop.folded_kernel().to(DType::f64);
  const auto f = [&](const Var& x) { return conv2d(reflect(x.value()), kernel); };
  const auto sigma = singular_values(dense_operator(f, {1, 6, 6, 4}, DType::f64));
  CHECK(conv_norm_bound(kernel) <= 1.00001);
  CHECK(sigma.front() > 1.2);  // so it is refused, as is every other padding without a proof

  int refused = 0;
  for (const LayerType* type : layer_types()) {
    for (const char* mode : {"reflect", "replicate", "symmetric"}) {
      if (type->kind != LayerKind::convolution || !type->takes("padding")) continue;
      const LayerSpec spec{
          "c",
          std::string(type->type),
          {{"out", std::int64_t{4}}, {"kernel", std::int64_t{3}}, {"padding", std::string(mode)}}};
      CAPTURE(type->type);
      try {
        build_layer(spec, {6, 6, 4}, 10, Rng(1));
        CHECK(false);
      } catch (const ValueError& error) {
        CHECK(std::string(error.what()).find("expected padding") != std::string::npos);
        ++refused;
      }
    }
  }
  CHECK(refused >= 6);
}

// OG's option BJORCK_PASS_THROUGH_ORTHO_PARAMS leaves weights without a gradient; LB creates the
// scales of its convolutions in the first forward pass, when the optimizer has its list already.
TEST_CASE("a parameter that is trained never gets a gradient, or is made too late") {
  int parameters = 0;
  for_each_type([&](Module& module, const Tensor& x) {
    const ParameterList before = module.parameters();
    Tape tape;
    module.prepare();
    Rng rng(4);
    const Var y = module.forward(x);
    const Var loss = sum(mul(y, random_normal(rng, y.shape(), 1, y.dtype())));
    if (loss.tape() != nullptr) tape.backward(loss);
    const ParameterList after = module.parameters();
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
      CAPTURE(before[i].name);
      CHECK(before[i].name == after[i].name);
      CHECK(before[i].parameter == after[i].parameter);
      if (!before[i].parameter->trainable) continue;
      REQUIRE(bool(before[i].parameter->grad));
      CHECK(max_abs(before[i].parameter->grad) > 0);
      ++parameters;
    }
  });
  CHECK(parameters > 10);
}

// LC draws the vectors of its power iterations anew in every forward pass.
TEST_CASE("two evaluations of one net differ") {
  for_each_type([](Module& module, const Tensor& x) {
    const Tensor first = module.forward(x).value().clone();
    module.prepare();
    CHECK(max_abs_diff(first, module.forward(x).value()) == 0);
  });
}

// LB keeps the weights of the last training step for evaluation unless another pass is made in
// training mode; LC's OSSN evaluates with a factor that is out of date.
TEST_CASE("evaluation uses weights, or their norms, from before the last update") {
  for_each_type([](Module& module, const Tensor& x) {
    module.forward(x);
    const double before = module.lipschitz_bound().value;
    for (const auto& [name, parameter] : module.parameters()) {
      Rng rng(5);
      const Tensor& old = parameter->value();
      const Tensor noise = random_normal(rng, old.shape(), 1 + max_abs(old), old.dtype());
      add_in_place(parameter->write(), noise);
    }
    const auto plain = module.materialize(DType::f64);
    const Tensor y = module.forward(x).value().to(DType::f64);
    CHECK(max_abs_diff(y, plain->forward(x.to(DType::f64)).value()) <=
          1e-5 * (1 + max_abs(y)) * (1 + before));
    CHECK(plain->lipschitz_bound().value <= module.lipschitz_bound().value * (1 + 1e-6));
  });
}

// SLL and CPL runs of a comparison of layers ended in NaN (1LipschitzLayersCompared,
// 01e3f2a: 8 of 58 at 10 %); guards of 1e-6 in denominators came later.
TEST_CASE("a weight of zeros divides by zero") {
  const Shape image{4, 4, 6};
  const std::pair<const char*, Shape> sites[] = {
      {"aol", {6}},       {"cpl", {6}},       {"sll", {6}},   {"soc", {6}},
      {"frobenius", {6}}, {"unit-rows", {6}}, {"aol", image}, {"cpl", image},
      {"sll", image},     {"soc", image},     {"l2ne", image}};
  for (const auto& site : sites) {
    const char* const type = site.first;
    const Shape& input = site.second;
    CAPTURE(type);
    LayerSpec spec{"x", type, {{"out", std::int64_t{6}}}};
    if (input.rank() == 3) spec.options.emplace_back("kernel", std::int64_t{3});
    const auto module = build_layer(spec, input, 10, Rng(1));
    for (const auto& [name, parameter] : module->parameters()) {
      parameter->write() = Tensor::zeros(parameter->value().shape());
    }
    Rng rng(2);
    Tape tape;
    module->prepare();
    const Var x = tape.leaf(random_normal(rng, batched(2, input)));
    const Var y = module->forward(x);
    CHECK(all_finite(y.value()));
    tape.backward(sum(square(y)));
    CHECK(all_finite(x.grad()));
    for (const auto& [name, parameter] : module->parameters()) CHECK(all_finite(parameter->grad));
    CHECK(module->lipschitz_bound().value <= 1.0001);
  }
}

// GL takes an unknown type of layers for 1-Lipschitz, and prints a line about it.
TEST_CASE("an unknown type of layers counts as 1-Lipschitz") {
  CHECK_THROWS_AS(build_layer({"x", "attention", {}}, {4}, 10, Rng(1)), ValueError);
}

// OG's get_conv_sv multiplies the norms of the groups, and reports 0.001 for this kernel.
TEST_CASE("the norms of groups are multiplied") {
  Tensor kernel = Tensor::zeros({4, 1, 1, 1}, DType::f64);
  for (int g = 0; g < 4; ++g) kernel.write<double>()[g] = g == 0 ? 1 : 0.1;
  CHECK(kernel_singular_values(kernel, 3, 3, 1, 4).front() == doctest::Approx(1));
  CHECK(conv_norm_bound(kernel, 1, 4) >= 1);
  CHECK(conv_norm_bound(kernel, 1, 4) <= 1.0000001);
}

// OG's Cholesky presets reach 1 + 7e-4 on a raw Gaussian matrix, where their damping of 1e-5 leaves
// a defect of 0.9 at kappa 1000.
TEST_CASE("a factor by Cholesky exceeds norm 1, or is damped away from orthogonality") {
  Rng rng(6);
  Linear layer(256, 256, CholeskyQr{}, rng);
  layer.parameters()[0].parameter->write() = random_normal(rng, {256, 256});
  const auto sigma = singular_values(layer.weight().folded());
  CHECK(std::abs(sigma.front() - 1) <= 5e-7);
  CHECK(std::abs(sigma.back() - 1) <= 5e-7);
  CHECK(layer.lipschitz_bound().value >= sigma.front());
}

// Of a raw Gaussian matrix OG's 12 steps leave singular values from 0.286, TL's 15 from 0.675.
TEST_CASE("too few steps leave small singular values, unseen") {
  Rng rng(7);
  const Tensor gaussian = random_normal(rng, {256, 256});
  Linear converged(256, 256, Bjorck{}, rng);
  converged.parameters()[0].parameter->write() = gaussian;
  CHECK(singular_values(converged.weight().folded()).back() >= 1 - 5e-7);
  CHECK(converged.residual().value <= 5e-7);

  Linear fixed(256, 256, Bjorck{.options = {.iterations = 12}}, rng);
  fixed.parameters()[0].parameter->write() = gaussian;
  CHECK(singular_values(fixed.weight().folded()).back() < 0.9);
  CHECK(fixed.gnp() == NormPreservation::none);  // and so it claims nothing
  CHECK(fixed.residual().reason == "no orthogonality claimed");
}

// GL, LB and others certify with the estimate of a power iteration, which is a lower one.
TEST_CASE("the estimate of a power iteration passes for a bound") {
  Rng rng(8);
  Linear layer(40, 40, SpectralNorm{.iterations = 1}, rng);
  layer.parameters()[0].parameter->write() = random_normal(rng, {40, 40});
  {
    Tape tape;
    layer.forward(random_normal(rng, {1, 40}));  // one step of the iteration
  }
  const double norm = singular_values(layer.weight().folded()).front();
  CHECK(norm > 1.01);
  CHECK(layer.lipschitz_bound().value >= norm);
}

// Under zero padding an orthogonal kernel is a contraction at the borders: LC's poster says so, the
// layers of OG still count as orthogonal.
TEST_CASE("zero padding passes for norm-preserving") {
  Rng rng(9);
  const Tensor kernel = BcopConv2d(4, 4, 3, rng).folded_kernel();
  const Conv2d zero(kernel, {}, {.padding_mode = PadMode::zero});
  CHECK(zero.gnp() == NormPreservation::none);
  const auto f = [&](const Var& x) { return zero.materialize(DType::f64)->forward(x); };
  const auto sigma = singular_values(dense_operator(f, {1, 6, 6, 4}, DType::f64));
  CHECK(sigma.front() <= zero.lipschitz_bound().value);
  CHECK(zero.lipschitz_bound().value <= 1.00001);
  CHECK(sigma.back() < 0.9);
}

// LC's BCOP takes an option for padding and ignores it (its issue 4).
TEST_CASE("an option is taken and ignored") {
  const LayerSpec bcop{
      "c",
      "bcop",
      {{"out", std::int64_t{4}}, {"kernel", std::int64_t{3}}, {"padding", std::string("zero")}}};
  CHECK_THROWS_AS(build_layer(bcop, {6, 6, 4}, 10, Rng(1)), ValueError);
}

// LC convolves the first pair of projectors twice and the last never for kernels above 2 (its issue
// 1, fixed in 0b346f2): still orthogonal, so that no singular value tells.
TEST_CASE("one pair of projectors is used twice, another never") {
  for (const int k : {2, 3, 4, 5}) {
    Rng rng(10);
    BcopConv2d layer(4, 4, k, rng);
    Parameter& raw = *layer.parameters()[0].parameter;
    const Tensor start = raw.value().clone();
    const Tensor kernel = layer.folded_kernel().clone();
    REQUIRE(start.dim(0) == 2 * (k - 1) + 1);
    for (std::int64_t i = 0; i < start.dim(0); ++i) {
      CAPTURE(i);
      Tensor moved = start.clone();
      Rng noise = rng.stream(static_cast<std::uint64_t>(i));
      Tensor one = moved.rows(i, i + 1);
      add_in_place(one, random_normal(noise, one.shape()));
      raw.write() = moved;
      CHECK(max_abs_diff(layer.folded_kernel(), kernel) > 1e-3);
    }
  }
}

// LC's kernels of one tap fail where outputs outnumber inputs.
TEST_CASE("a kernel of one tap is transposed") {
  Rng rng(11);
  for (const auto& [in, out] : {std::pair{2, 5}, std::pair{5, 2}, std::pair{3, 3}}) {
    const BcopConv2d layer(in, out, 1, rng);
    CHECK(layer.folded_kernel().shape() == Shape{out, 1, 1, in});
    CHECK(layer.lipschitz_bound().value <= 1.00001);
  }
}

// LC's helper crops a kernel that is larger than the image, and so measures another operator.
TEST_CASE("a kernel larger than the image is cropped before it is measured") {
  Rng rng(12);
  const Tensor kernel = random_normal(rng, {2, 5, 5, 2}, 1, DType::f64);
  const Conv2d layer(kernel, {}, {});
  const auto f = [&](const Var& x) { return layer.forward(x); };
  const auto dense = singular_values(dense_operator(f, {1, 3, 3, 2}, DType::f64));
  const auto measured = kernel_singular_values(kernel, 3, 3);
  CHECK(measured.front() == doctest::Approx(dense.front()).epsilon(1e-12));
  CHECK(conv_norm_bound(kernel) >= dense.front());
}

// LC does not seed its initial weights.
TEST_CASE("the seed does not fix the initial weights") {
  const auto weights = [](std::uint64_t seed) {
    const LayerSpec spec{"fc", "linear", {{"out", std::int64_t{7}}}};
    return build_layer(spec, {5}, 10, Rng(seed))->parameters()[0].parameter->value().clone();
  };
  CHECK(max_abs_diff(weights(1), weights(1)) == 0);
  CHECK(max_abs_diff(weights(1), weights(2)) > 0);
}

TEST_SUITE_END();
