#include <doctest/doctest.h>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/convex_potential.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/gram_norm.hpp>
#include <isotape/ops/gram_row_sums.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reshape.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/convex_potential");

namespace {

const Square flat{.c_in = 5, .c_out = 5, .stride = 1, .is_flat = true};

ConvexPotential layer(PotentialScale scale, Rng& rng) {
  return ConvexPotential(flat, {.scale = scale, .inner = 3, .kernel = 1}, rng);
}

Parameter& parameter(Module& module, std::string_view name) {
  for (const NamedParameter& named : module.parameters()) {
    if (named.name == name) return *named.parameter;
  }
  throw ValueError("no such parameter");
}

void widen(Module& module) {
  for (const NamedParameter& named : module.parameters()) {
    const Tensor wide = named.parameter->value().to(DType::f64);
    named.parameter->write() = wide;
  }
}

}  // namespace

TEST_CASE("convex potential: x - 2 w^T t^-1 relu(w x + b), as the papers have it") {
  for (const PotentialScale scale : {PotentialScale::norm, PotentialScale::row_sums}) {
    Rng rng(1);
    ConvexPotential module = layer(scale, rng);
    widen(module);
    const Tensor w = parameter(module, "raw").value().reshaped({3, 5});
    const Tensor b = parameter(module, "bias").value();
    const Tensor x = random_normal(rng, {4, 5}, 1, DType::f64);
    const Tensor t = scale == PotentialScale::norm
                         ? gram_norm_squared(w).value()
                         : gram_row_sums(w, exp(parameter(module, "log_q").value())).value();
    Tensor h = relu(affine(x, w, b)).value();
    for (std::int64_t i = 0; i < h.size(); ++i) {
      h.write<double>()[i] *= 2 / t.at(t.size() == 1 ? 0 : i % 3);
    }
    const Tensor expected = sub(x, matmul(h, w)).value();
    CHECK(max_abs_diff(module.forward(x).value(), expected) < 1e-14);
  }
}

TEST_CASE("convex potential: gradients of all parameters, with steps that cross no kink") {
  for (const PotentialScale scale : {PotentialScale::norm, PotentialScale::row_sums}) {
    Rng rng(2);
    ConvexPotential module = layer(scale, rng);
    widen(module);
    Tensors at{random_normal(rng, {4, 5}, 1, DType::f64)};
    const ParameterList parameters = module.parameters();
    for (const NamedParameter& named : parameters) at.push_back(named.parameter->value());
    const auto f = [&](const Vars& in) {
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        Parameter& p = *parameters[i].parameter;
        p.write() = in[i + 1].value();
        if (Tape* tape = Tape::active()) tape->remember(&p, p.version(), in[i + 1]);
      }
      return module.forward(in[0]);
    };
    CHECK(gradcheck("convex potential", f, at, {.points = 4}));
  }
}

TEST_CASE("convex potential: the bound follows weights that are too large, by 2 rho - 1") {
  for (const PotentialScale scale : {PotentialScale::norm, PotentialScale::row_sums}) {
    Rng rng(3);
    const auto plain = layer(scale, rng).materialize(DType::f64);
    const double before = plain->lipschitz_bound().value;
    CHECK(before >= 1);
    CHECK(before <= 1 + 1e-6);
    Parameter& v = parameter(*plain, "raw");
    v.write() = isotape::scale(v.value(), 1.2).value();
    // The norm of t^-1/2 w is 1 for CPL but for its bound's rank^(1/128), and at most 1 for SLL.
    const double after = plain->lipschitz_bound().value;
    CHECK(after > 1.1);
    CHECK(after <= 2 * 1.44 - 1 + 1e-6);
    if (scale == PotentialScale::norm) CHECK(after == doctest::Approx(2 * 1.44 - 1).epsilon(0.03));
  }
}

TEST_CASE("convex potential: a weight of zeros is the identity, without gradients that are NaN") {
  for (const PotentialScale scale : {PotentialScale::norm, PotentialScale::row_sums}) {
    Rng rng(4);
    ConvexPotential module = layer(scale, rng);
    Parameter& raw = parameter(module, "raw");
    raw.write() = Tensor::zeros(raw.value().shape());
    const Tensor x = random_normal(rng, {4, 5});
    CHECK(max_abs_diff(module.forward(x).value(), x) == 0);
    CHECK(module.lipschitz_bound().value == 1);
    Tape tape;
    const Var y = module.forward(x);
    tape.backward(y, Tensor::full(y.shape(), 1));
    for (const NamedParameter& named : module.parameters()) {
      CAPTURE(named.name);
      CHECK(max_abs(named.parameter->grad) == 0);
    }
  }
}

TEST_CASE("convex potential: rejects extents below 1") {
  Rng rng(5);
  CHECK_THROWS_WITH_AS(ConvexPotential(flat, {.kernel = 0}, rng),
                       "cpl: expected extents >= 1, got 5 -> 5, kernel 0, inner 5", ValueError);
}

TEST_SUITE_END();
