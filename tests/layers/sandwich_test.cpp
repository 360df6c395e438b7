#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <numbers>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/layers/sandwich.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reduce.hpp>
#include <isotape/ops/reshape.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/sandwich");

namespace {

// f64, with weights of some size and psi that are not zero.
Sandwich layer(std::int64_t in, std::int64_t out, const SandwichOptions& options,
               std::uint64_t seed) {
  Rng rng(seed);
  Sandwich made(in, out, rng, options);
  for (const auto& [name, parameter] : made.parameters()) {
    const Tensor value = name == "psi" ? random_normal(rng, {out}, 0.5, DType::f64)
                                       : parameter->value().to(DType::f64);
    parameter->write() = name == "length" ? Tensor::full({1}, 3, DType::f64) : value;
  }
  return made;
}

Tensor parameter(Sandwich& of, const std::string& name) {
  for (const auto& named : of.parameters()) {
    if (named.name == name) return named.parameter->value();
  }
  return {};
}

// What the theory speaks of, of one layer: A, B and Psi as matrices.
struct Parts {
  Tensor a, b, psi, bias;
};
Parts parts(Sandwich& of, std::int64_t out) {
  const Tensor weight = of.folded_weight();
  Parts p{transpose(weight.rows(0, out)).value(),
          transpose(weight.rows(out, weight.dim(0))).value(), Tensor::eye(out, DType::f64),
          parameter(of, "bias")};
  const Tensor logarithms = parameter(of, "psi");
  for (std::int64_t i = 0; logarithms && i < out; ++i) {
    p.psi.write<double>()[i * out + i] = std::exp(logarithms.at(i));
  }
  return p;
}

Tensor inverse(const Tensor& diagonal) {
  Tensor result = diagonal.clone();
  const std::int64_t n = diagonal.dim(0);
  for (std::int64_t i = 0; i < n; ++i) {
    result.write<double>()[i * n + i] = 1 / diagonal.at(i * n + i);
  }
  return result;
}

Tensor product(double factor, std::initializer_list<Tensor> matrices) {
  Var result;
  for (const Tensor& matrix : matrices) result = result ? matmul(result, matrix) : Var(matrix);
  return scale(result, factor).value();
}
Tensor t(const Tensor& matrix) { return transpose(matrix).value(); }

// A net of two hidden layers and an output, and its weights as a plain net has them.
struct Net {
  static constexpr double gamma = 3;
  Sandwich first, middle, last;
  Parts p0, p1, p2;
  Tensor w0, w1, w2;

  explicit Net(SlopeRestricted sigma)
      : first(layer(4, 6, {.gamma = gamma, .activation = sigma}, 1)),
        middle(layer(6, 5, {.activation = sigma}, 2)),
        last(layer(5, 3, {.gamma = gamma, .output = true}, 3)),
        p0(parts(first, 6)),
        p1(parts(middle, 5)),
        p2(parts(last, 3)),
        w0(product(std::sqrt(2 * gamma), {inverse(p0.psi), p0.b})),
        w1(product(2, {inverse(p1.psi), p1.b, t(p0.a), p0.psi})),
        w2(product(std::sqrt(2 * gamma), {p2.b, t(p1.a), p1.psi})) {}

  Tensor forward(const Tensor& x) const {
    return last.forward(middle.forward(first.forward(x))).value();
  }
};

Tensor activated(SlopeRestricted sigma, const Tensor& u) {
  Tensor z = u.clone();
  for (double& value : std::span(z.write<double>(), static_cast<std::size_t>(z.size()))) {
    if (sigma == SlopeRestricted::relu) value = std::max(value, 0.0);
    if (sigma == SlopeRestricted::tanh) value = std::tanh(value);
    if (sigma == SlopeRestricted::softplus) value = std::log(1 + std::exp(value));
    if (sigma == SlopeRestricted::sigmoid) value = 1 / (1 + std::exp(-value));
  }
  return z;
}

void put(Tensor& h, std::int64_t row, std::int64_t column, const Tensor& block) {
  for (std::int64_t i = 0; i < block.dim(0); ++i) {
    for (std::int64_t j = 0; j < block.dim(1); ++j) {
      h.write<double>()[(row + i) * h.dim(1) + column + j] = block.at(i * block.dim(1) + j);
    }
  }
}

}  // namespace

TEST_CASE("sandwich: a net is the plain feed-forward net of [Wang 2023, eq. 8]") {
  Rng rng(4);
  const Tensor x = random_normal(rng, {20, 4}, 1, DType::f64);
  for (const auto sigma : {SlopeRestricted::relu, SlopeRestricted::tanh, SlopeRestricted::softplus,
                           SlopeRestricted::sigmoid, SlopeRestricted::identity}) {
    CAPTURE(name(sigma));
    Net net(sigma);
    const Tensor z0 = activated(sigma, affine(x, net.w0, net.p0.bias).value());
    const Tensor z1 = activated(sigma, affine(z0, net.w1, net.p1.bias).value());
    const Tensor y = affine(z1, net.w2, net.p2.bias).value();
    CHECK(max_abs_diff(net.forward(x), y) < 1e-13);
  }
}

TEST_CASE("sandwich: a net carries its certificate, the LMI H = P P^T >= 0 with Lambda = Psi^2") {
  Net net(SlopeRestricted::relu);
  const double g = Net::gamma;
  const std::int64_t at[] = {0, 4, 10, 15, 18};  // x, z0, z1, y, end
  const auto lambda = [](const Parts& p) { return product(1, {p.psi, p.psi}); };
  const Tensor l0 = lambda(net.p0);
  const Tensor l1 = lambda(net.p1);
  Tensor h = Tensor::zeros({18, 18}, DType::f64);
  put(h, at[0], at[0], scale(Tensor::eye(4, DType::f64), g).value());
  put(h, at[1], at[0], product(-1, {l0, net.w0}));
  put(h, at[0], at[1], t(product(-1, {l0, net.w0})));
  put(h, at[1], at[1], scale(l0, 2).value());
  put(h, at[2], at[1], product(-1, {l1, net.w1}));
  put(h, at[1], at[2], t(product(-1, {l1, net.w1})));
  put(h, at[2], at[2], scale(l1, 2).value());
  put(h, at[3], at[2], scale(net.w2, -1).value());
  put(h, at[2], at[3], t(scale(net.w2, -1).value()));
  put(h, at[3], at[3], scale(Tensor::eye(3, DType::f64), g).value());

  const double root = std::numbers::sqrt2;
  Tensor p = Tensor::zeros({18, 18}, DType::f64);
  put(p, at[0], at[0], scale(Tensor::eye(4, DType::f64), std::sqrt(g)).value());
  put(p, at[1], at[1], product(root, {net.p0.psi, net.p0.a}));
  put(p, at[1], at[0], product(-root, {net.p0.psi, net.p0.b}));
  put(p, at[2], at[2], product(root, {net.p1.psi, net.p1.a}));
  put(p, at[2], at[1], product(-root, {net.p1.psi, net.p1.b}));
  put(p, at[3], at[3], product(std::sqrt(g), {net.p2.a}));
  put(p, at[3], at[2], product(-std::sqrt(g), {net.p2.b}));
  CHECK(max_abs_diff(matmul(p, p, {.trans_b = true}).value(), h) < 1e-13 * frobenius_norm(h));

  std::vector<double> values(18);
  Tensor copy = h.clone();
  blas::symmetric_eigen(18, copy.write<double>(), values.data());
  CHECK(values.front() > -1e-13 * values.back());
  // Twice the multiplier of the paper's main text, which is half of it, is what it takes.
  put(h, at[1], at[1], l0);
  put(h, at[1], at[0], product(-0.5, {l0, net.w0}));
  put(h, at[0], at[1], t(product(-0.5, {l0, net.w0})));
  put(h, at[2], at[1], product(-0.5, {l1, net.w1}));
  put(h, at[1], at[2], t(product(-0.5, {l1, net.w1})));
  put(h, at[2], at[2], l1);
  blas::symmetric_eigen(18, h.write<double>(), values.data());
  CHECK(values.front() < -1e-3);
}

TEST_CASE("sandwich: gamma at both ends is the bound of a net, and no pair exceeds it") {
  const ModelSpec spec{
      "net",
      {{"fc1", "sandwich", {{"out", std::int64_t{12}}, {"gamma", 5.0}}},
       {"fc2", "sandwich", {{"out", std::int64_t{9}}}},
       {"fc3", "sandwich", {{"out", std::string("classes")}, {"gamma", 5.0}, {"output", true}}}}};
  Model model = build_model(spec, {7}, 4, Rng(5));
  const double bound = model.net.lipschitz_bound().value;
  CHECK(bound > 4);  // |B| of a last layer may be below 1
  CHECK(bound <= 5 * (1 + 1e-5));
  Rng rng(6);
  const auto plain = model.net.materialize(DType::f64);
  const Tensor x = random_normal(rng, {1000, 7}, 2, DType::f64);
  for (const double distance : {1e-3, 1.0}) {
    const Tensor dx = random_normal(rng, {1000, 7}, distance, DType::f64);
    const Tensor dy = sub(plain->forward(add(x, dx)), plain->forward(x)).value();
    for (int i = 0; i < 1000; ++i) {
      CHECK(frobenius_norm(dy.rows(i, i + 1)) <= bound * frobenius_norm(dx.rows(i, i + 1)));
    }
  }
}

TEST_CASE("sandwich: weights off the constraint are charged, to the square; NaN throws") {
  const Sandwich made = layer(5, 4, {.activation = SlopeRestricted::identity}, 7);
  const auto plain = made.materialize(DType::f64);
  CHECK(made.residual().value < 1e-14);
  CHECK(plain->lipschitz_bound().value < 1 + 1e-13);
  for (const auto& named : plain->parameters()) {
    if (named.name != "weight") continue;
    const Tensor larger = scale(named.parameter->value(), 1.01).value();
    named.parameter->write() = larger;
  }
  CHECK(plain->lipschitz_bound().value == doctest::Approx(1.01 * 1.01).epsilon(1e-12));
  // With the identity the layer is 2 A^T B, whose norm the bound covers.
  const auto f = [&](const Var& x) { return plain->forward(x); };
  CHECK(singular_values(dense_operator(f, {1, 5}, DType::f64))[0] <=
        plain->lipschitz_bound().value);
  for (const auto& named : plain->parameters()) {
    if (named.name == "weight") named.parameter->write().write<double>()[3] = std::nan("");
  }
  CHECK_THROWS_WITH_AS(plain->lipschitz_bound(),
                       "sandwich: expected a weight of numbers, found NaN", NumericError);
}

TEST_CASE("sandwich: names its parameters; an output layer has no psi") {
  Rng rng(8);
  const auto names = [](Sandwich made) {
    std::string text;
    for (const auto& [name, parameter] : made.parameters()) {
      text += message(name, ' ', parameter->value().shape(), ' ');
    }
    return text;
  };
  CHECK(names(Sandwich(3, 2, rng)) == "raw [5, 2] length [1] psi [2] bias [2] ");
  CHECK(names(Sandwich(3, 2, rng, {.output = true})) == "raw [5, 2] length [1] bias [2] ");
  CHECK(names(Sandwich(3, 2, rng, {.bias = false})) == "raw [5, 2] length [1] psi [2] ");
}

TEST_CASE("sandwich: rejects gamma that is not positive, and inputs that do not fit") {
  Rng rng(9);
  CHECK_THROWS_WITH_AS(Sandwich(3, 2, rng, {.gamma = 0}), "sandwich: expected gamma > 0, got 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(Sandwich(0, 2, rng), "sandwich: expected extents >= 1, got 0 -> 2",
                       ValueError);
  CHECK_THROWS_WITH_AS(Sandwich(3, 2, rng).forward(Tensor({1, 4})),
                       "sandwich: expected input [3], got [4]", ShapeError);
  CHECK_THROWS_WITH_AS(
      build_layer(
          {"fc", "sandwich", {{"out", std::int64_t{2}}, {"activation", std::string("abs")}}}, {3},
          10, Rng(1)),
      "activation: expected one of relu, softplus, tanh, sigmoid, identity, got 'abs'", ValueError);
}

TEST_SUITE_END();
