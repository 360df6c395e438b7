#include <doctest/doctest.h>
#include <cmath>
#include <functional>
#include <string>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/gradcheck");

namespace {

const Op sandwich_op("test_sandwich");
const Op floor_op("test_floor");

Tensor random(const Shape& shape, std::uint64_t seed) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, DType::f64);
}

// op(a) op(b), square matrices.
Tensor multiply(const Tensor& a, const Tensor& b, bool trans_a, bool trans_b) {
  const std::int64_t n = a.dim(0);
  Tensor y = Tensor::zeros(a.shape(), DType::f64);
  auto* target = y.write<double>();
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t k = 0; k < n; ++k) {
        target[i * n + j] +=
            a.at(trans_a ? k * n + i : i * n + k) * b.at(trans_b ? j * n + k : k * n + j);
      }
    }
  }
  return y;
}

Tensor scaled(const Tensor& x, double factor) {
  Tensor y = Tensor::zeros(x.shape(), DType::f64);
  add_in_place(y, x, factor);
  return y;
}

// What is wrong with a derivative: nothing by default.
struct Fault {
  double factor = 1;
  bool transposed = false;
  double second_term = 1;
};

// y = w w with dy/dw: dw -> dw w + w dw, whose transpose is dy -> dy w^T + w^T dy.
Var square(const Var& w_var, Fault vjp_fault = {}, Fault jvp_fault = {}) {
  const Tensor& w = w_var.value();
  const auto derivative = [w](const Tensor& d, bool adjoint, Fault fault) {
    Tensor sum = multiply(d, w, fault.transposed, adjoint);
    add_in_place(sum, multiply(w, d, adjoint, false), fault.second_term);
    return scaled(sum, fault.factor);
  };
  return record(
      sandwich_op, multiply(w, w, false, false), {w_var}, {w},
      [=](const Tensor& dy, Needs) -> Grads<1> { return {derivative(dy, true, vjp_fault)}; },
      [=](const Tangents<1>& dw) { return derivative(dw[0], false, jvp_fault); });
}

CheckReport check(std::int64_t n, Fault vjp_fault, Fault jvp_fault = {}) {
  return gradcheck("square", [=](const Vars& in) { return square(in[0], vjp_fault, jvp_fault); },
                   {random({n, n}, 3)});
}

}  // namespace

// Both with the whole Jacobian (3 x 3) and by directions alone (9 x 9).
TEST_CASE("gradcheck: accepts right derivatives and notes that the op was checked") {
  CHECK(check(3, {}));
  CHECK(check(9, {}));
  CHECK(check(3, {}).detail == "square: ok");
  bool noted = false;
  for (const auto op : gradchecked_ops()) noted = noted || op == "test_sandwich";
  CHECK(noted);
}

TEST_CASE("gradcheck: rejects a vjp that is 1 % off, transposed, zero or lacks a term") {
  for (const std::int64_t n : {3, 9}) {
    CAPTURE(n);
    CHECK_FALSE(check(n, {.factor = 1.01}));
    CHECK_FALSE(check(n, {.factor = 1 + 1e-6}));
    CHECK_FALSE(check(n, {.transposed = true}));
    CHECK_FALSE(check(n, {.factor = 0}));
    CHECK_FALSE(check(n, {.factor = -1}));
    CHECK_FALSE(check(n, {.second_term = 0}));
  }
}

TEST_CASE("gradcheck: rejects a jvp that is 1 % off, transposed, zero or lacks a term") {
  for (const std::int64_t n : {3, 9}) {
    CAPTURE(n);
    CHECK_FALSE(check(n, {}, {.factor = 1.01}));
    CHECK_FALSE(check(n, {}, {.factor = 1 + 1e-8}));
    CHECK_FALSE(check(n, {}, {.transposed = true}));
    CHECK_FALSE(check(n, {}, {.factor = 0}));
    CHECK_FALSE(check(n, {}, {.second_term = 0}));
  }
}

TEST_CASE("gradcheck: the reason names input, shape, both numbers and the direction") {
  const std::string vjp = check(3, {.factor = 2}).detail;
  CHECK(vjp.find("square: input 0 of shape [3, 3]: analytic ") == 0);
  CHECK(vjp.find(", numeric ") != std::string::npos);
  CHECK(vjp.find("(direction 0)") != std::string::npos);
  CHECK(check(3, {}, {.factor = 2}).detail.find(", jvp ") != std::string::npos);
}

namespace {

const Op entry_op("test_entry_fault");

// y = 3 x, whose vjp is wrong in one entry of many by `error`.
Var triple_with_fault(const Var& x, std::int64_t entry, double error) {
  return record(
      entry_op, scaled(x.value(), 3), {x}, {},
      [=](const Tensor& dy, Needs) -> Grads<1> {
        Tensor grad = scaled(dy, 3);
        grad.write<double>()[entry] += error * dy.at(entry);
        return {grad};
      },
      [](const Tangents<1>& dx) { return scaled(dx[0], 3); });
}

}  // namespace

TEST_CASE("gradcheck: finds one wrong entry, for inputs of up to 64 entries however small it is") {
  const auto check_entry = [](std::int64_t size, double error) {
    return gradcheck("triple",
                     [=](const Vars& in) { return triple_with_fault(in[0], size - 1, error); },
                     {random({size}, 5)});
  };
  CHECK(check_entry(64, 0));
  CHECK_FALSE(check_entry(64, 2e-6));
  CHECK_FALSE(check_entry(1000, 1));
}

TEST_CASE("gradcheck: a gradient that vanishes on both sides fails, unless it may") {
  // Piecewise constant, with a zero derivative: right, but nothing was checked.
  const std::function<Var(const Vars&)> steps = [](const Vars& in) {
    Tensor y = in[0].value().clone();
    auto* data = y.write<double>();
    for (std::int64_t i = 0; i < y.size(); ++i) data[i] = std::floor(data[i]);
    return record(
        floor_op, y, {in[0]}, {},
        [](const Tensor& dy, Needs) -> Grads<1> { return {scaled(dy, 0)}; },
        [](const Tangents<1>& dx) { return scaled(dx[0], 0); });
  };
  const Tensor x = Tensor::of({0.5, 1.5, -2.5}, {3}, DType::f64);
  const CheckReport report = gradcheck("steps", steps, {x});
  CHECK_FALSE(report);
  CHECK(report.detail ==
        "steps: input 0 of shape [3]: the gradient vanishes on both sides in every direction");
  CHECK(gradcheck("steps", steps, {x}, {.may_vanish = true}));
}

TEST_CASE("gradcheck: a NaN in a derivative fails") {
  CHECK_FALSE(check(3, {.factor = std::nan("")}));
  CHECK_FALSE(check(3, {}, {.factor = std::nan("")}));
}

TEST_CASE("gradcheck: a wrong gradient of the second input is found") {
  const std::function<Vars(const Vars&)> two = [](const Vars& in) {
    return Vars{square(in[0]), square(in[1], {.factor = 1.01})};
  };
  const CheckReport report = gradcheck("two", two, {random({3, 3}, 1), random({9, 9}, 2)});
  CHECK_FALSE(report);
  CHECK(report.detail.find("two: input 1 of shape [9, 9]") == 0);
}

TEST_CASE("gradcheck: wider stencils reach tolerances that two points do not") {
  const std::function<Var(const Vars&)> power8 = [](const Vars& in) {
    return square(square(square(in[0])));
  };
  const Tensor w = random({3, 3}, 7);
  GradcheckOptions options{.tolerance = 1e-9, .step = 3e-3};
  CHECK_FALSE(gradcheck("power8", power8, {w}, options));
  options.points = 6;
  CHECK(gradcheck("power8", power8, {w}, options));
}

TEST_CASE("gradcheck: rejects inputs that are not f64, other stencils, and unrecorded outputs") {
  const std::function<Var(const Vars&)> f = [](const Vars& in) { return square(in[0]); };
  CHECK_THROWS_WITH_AS(gradcheck("square", f, {Tensor::eye(2)}),
                       "gradcheck: expected f64 inputs, got f32", ValueError);
  CHECK_THROWS_WITH_AS(gradcheck("square", f, {random({2, 2}, 1)}, {.points = 3}),
                       "gradcheck: expected a stencil of 2, 4 or 6 points, got 3", ValueError);
  const std::function<Var(const Vars&)> constant = [](const Vars& in) {
    return Var(in[0].value().clone());
  };
  CHECK_THROWS_WITH_AS(gradcheck("constant", constant, {random({2, 2}, 1)}),
                       "constant: expected outputs recorded from the inputs", ValueError);
}

TEST_SUITE_END();
