#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/low_rank.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/low_rank");

namespace {

// Closed-form inputs of the golden vectors: entries f(i, j), i and j from 0, in radians.
template <class F>
Tensor made(std::int64_t rows, std::int64_t columns, F f) {
  Tensor x({rows, columns}, DType::f64);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) x.write<double>()[i * columns + j] = f(i, j);
  }
  return x;
}
const auto golden_a = [](auto i, auto j) {
  return std::sin(0.3 + 1.1 * double(i) + 0.7 * double(j));
};
const auto golden_w = [](auto i, auto j) {
  return std::cos(0.2 + 0.5 * double(i) + 0.9 * double(j));
};

Tensor normal(std::uint64_t seed, const Shape& shape) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, DType::f64);
}

}  // namespace

TEST_CASE("low rank: losses and gradients have the golden values, to 1e-11") {
  Tape tape;
  const Var a = tape.leaf(made(3, 2, golden_a));
  const Var w = tape.leaf(made(2, 2, golden_w));
  const Var b = tape.leaf(Tensor::of({0.1, -0.2}, {2}, DType::f64));
  const Var projection = projection_loss(a, w, b);
  CHECK(std::abs(projection.value().item() - 0.373514529433) <= 1e-11);
  tape.backward(projection);
  CHECK(max_abs_diff(a.grad(), Tensor::of({-0.15180633192, 0.576036071313, -0.0639750226887,
                                           0.378127453882, 0.17903103868, -0.507701395361},
                                          {3, 2}, DType::f64)) <= 1e-11);
  CHECK(max_abs_diff(b.grad(), Tensor::of({-0.0367503159284, 0.446462129834}, {2}, DType::f64)) <=
        1e-11);
  CHECK(max_abs_diff(w.grad(),
                     Tensor::of({0.380192730637, 0.00692817381836, 0.457588904174, -0.390091232312},
                                {2, 2}, DType::f64)) <= 1e-11);

  Tape second;
  const Var again = second.leaf(made(3, 2, golden_a));
  const Var norms = norm_loss(again);
  CHECK(std::abs(norms.value().item() - 0.272295538218) <= 1e-11);
  second.backward(norms);
  CHECK(max_abs_diff(again.grad(), Tensor::of({-0.110451495868, -0.314502111553, 0.250740224405,
                                               0.219637089255, -0.331758928177, 0.0323593060221},
                                              {3, 2}, DType::f64)) <= 1e-11);
}

TEST_CASE("projection_loss: vjp and jvp match finite differences in a, w and b") {
  for (const Shape& shape : {Shape{1, 1}, Shape{5, 3}, Shape{2, 6}}) {
    const auto f = [](const Vars& in) { return projection_loss(in[0], in[1], in[2]); };
    CHECK(gradcheck("projection_loss", f,
                    {normal(1, shape), normal(2, {shape[1], shape[1]}), normal(3, {shape[1]})}));
  }
}

TEST_CASE("norm_loss: vjp and jvp match finite differences, inside and outside the unit ball") {
  for (const double scale : {0.05, 1.0, 3.0}) {
    Tensor a = Tensor::zeros({4, 3}, DType::f64);
    add_in_place(a, normal(4, {4, 3}), scale);
    CHECK(gradcheck("norm_loss", [](const Vars& in) { return norm_loss(in[0]); }, {a}));
  }
}

TEST_CASE("norm_loss: has no slope at norm 1 and at 0") {
  Tape tape;
  const Var a = tape.leaf(Tensor::of({0, 1, 0, 0, 0, 0.5}, {3, 2}, DType::f64));
  tape.backward(norm_loss(a));
  CHECK(max_abs(a.grad().rows(0, 2)) == 0);
  CHECK(a.grad().at(5) == doctest::Approx(-1.0 / 3));
}

TEST_CASE("low rank: f32 is f64 rounded, and a NaN is not hidden") {
  const Tensor a = normal(5, {20, 8});
  const Tensor w = normal(6, {8, 8});
  const Tensor b = normal(7, {8});
  const auto narrow = [](const Tensor& x) { return x.to(DType::f32); };
  CHECK(projection_loss(narrow(a), narrow(w), narrow(b)).value().item() ==
        doctest::Approx(projection_loss(a, w, b).value().item()).epsilon(1e-5));
  CHECK(norm_loss(narrow(a)).value().item() ==
        doctest::Approx(norm_loss(a).value().item()).epsilon(1e-5));
  Tensor bad = a.clone();
  bad.write<double>()[3] = std::numeric_limits<double>::quiet_NaN();
  Tape tape;
  const Var leaf = tape.leaf(bad);
  const Var norms = norm_loss(leaf);
  CHECK(std::isnan(norms.value().item()));
  CHECK(std::isnan(projection_loss(bad, w, b).value().item()));
  tape.backward(norms);
  CHECK(std::isnan(leaf.grad().at(0)));
  CHECK(all_finite(leaf.grad().rows(1, 20)));
}

TEST_CASE("low rank: refuses shapes and types that do not fit") {
  const Tensor a({2, 3});
  CHECK_THROWS_WITH_AS(projection_loss(a, Tensor({2, 3}), Tensor({3})),
                       "projection_loss: expected w of shape [3, 3] and b of shape [3], got [2, 3] "
                       "and [3]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(projection_loss(a, Tensor({3, 3}, DType::f64), Tensor({3})),
                       "projection_loss: expected one type, got f32, f64 and f32", ShapeError);
  CHECK_THROWS_WITH_AS(norm_loss(Tensor({3})),
                       "norm_loss: expected activations of shape [n, m] with n and m >= 1, got [3]",
                       ShapeError);
}

TEST_SUITE_END();
