#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/memory.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/elementwise.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/elementwise");

namespace {

struct Unary {
  const char* name;
  Var (*op)(const Var&);
  double (*value)(double);
};

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

const Unary unaries[] = {
    {"neg", neg, [](double x) { return -x; }},
    {"abs", abs, [](double x) { return std::abs(x); }},
    {"relu", relu, [](double x) { return x > 0 ? x : 0; }},
    {"square", square, [](double x) { return x * x; }},
    {"sqrt", sqrt, [](double x) { return std::sqrt(x); }},
    {"exp", exp, [](double x) { return std::exp(x); }},
    {"log", log, [](double x) { return std::log(x); }},
    {"scale", [](const Var& x) { return scale(x, -2.5); }, [](double x) { return -2.5 * x; }},
    {"add_scalar", [](const Var& x) { return add_scalar(x, 0.25); },
     [](double x) { return x + 0.25; }},
    {"leaky_relu", [](const Var& x) { return leaky_relu(x, 0.25); },
     [](double x) { return x > 0 ? x : 0.25 * x; }},
    {"sigmoid", sigmoid,
     [](double x) {
       const double e = std::exp(-std::abs(x));
       return (x < 0 ? e : 1.0) / (1 + e);
     }},
};

// Entries off the kinks at 0; positive where the function wants that.
Tensor sample(const char* name, const Shape& shape) {
  Rng rng(11);
  Tensor x = random_uniform(rng, shape, 0.5, 2, DType::f64);
  const std::string_view op = name;
  if (op == "sqrt" || op == "log") return x;
  auto* data = x.write<double>();
  for (std::int64_t i = 1; i < x.size(); i += 2) data[i] = -data[i];
  return x;
}

double slope(Var (*op)(const Var&), double at) {
  Tape tape;
  const Var x = tape.leaf(Tensor::of({at}, {1}, DType::f64));
  tape.backward(op(x));
  return x.grad().item();
}

}  // namespace

TEST_CASE("unary: values are those of the function, in f64 and f32") {
  for (const Unary& f : unaries) {
    CAPTURE(f.name);
    for (const Shape& shape : {Shape{0, 3}, Shape{}, Shape{1, 5}, Shape{3, 70000}}) {
      const Tensor x = sample(f.name, shape);
      const Tensor y = f.op(x).value();
      const Tensor y32 = f.op(x.to(DType::f32)).value();
      REQUIRE(y.shape() == shape);
      REQUIRE(y32.dtype() == DType::f32);
      bool equal = true;
      for (std::int64_t i = 0; i < x.size(); ++i) equal = equal && y.at(i) == f.value(x.at(i));
      CHECK(equal);
      CHECK(max_abs_diff(y32.to(DType::f64), y) <= 2e-6);
    }
  }
}

TEST_CASE("unary: vjp and jvp match finite differences") {
  for (const Unary& f : unaries) {
    for (const Shape& shape : {Shape{1, 5}, Shape{3, 4}, Shape{2, 5, 9}}) {
      CHECK(
          gradcheck(f.name, [&](const Vars& in) { return f.op(in[0]); }, {sample(f.name, shape)}));
    }
  }
}

TEST_CASE("unary: the gradient is computed in f32 as in f64, also where dy is kept") {
  for (const Unary& f : unaries) {
    CAPTURE(f.name);
    const Tensor x = sample(f.name, {4, 6});
    Rng rng(12);
    const Tensor dy = random_normal(rng, {4, 6}, 1, DType::f64);
    Tensor grads[2];
    for (const DType dtype : {DType::f32, DType::f64}) {
      Tape tape;
      const Var leaf = tape.leaf(x.to(dtype));
      const Var y = f.op(leaf);
      if (dtype == DType::f64) tape.keep_grad(y);
      tape.backward(y, dy.to(dtype).clone());
      grads[dtype == DType::f64 ? 1 : 0] = leaf.grad().to(DType::f64);
      if (dtype == DType::f64) CHECK(max_abs_diff(y.grad(), dy) == 0);
    }
    CHECK(max_abs_diff(grads[0], grads[1]) <= 1e-5);
  }
}

TEST_CASE("unary: a gradient nobody else sees is overwritten in place") {
  Tape tape;
  const Var x = tape.leaf(Tensor::full({100, 100}, 2));
  const Var y = relu(abs(scale(square(x), 3)));
  const Tensor dy = Tensor::full({100, 100}, 1);
  const auto before = memory_stats().requests;
  tape.backward(y, dy);
  CHECK(memory_stats().requests == before + 1);  // relu's, since dy is seen here
  CHECK(max_abs_diff(x.grad(), Tensor::full({100, 100}, 12)) == 0);
}

TEST_CASE("unary: slopes at the kinks are those documented") {
  const auto leaky = [](const Var& x) { return leaky_relu(x, 0.25); };
  CHECK(slope(leaky, 0.0) == 0.25);
  CHECK(slope(leaky, 1e-300) == 1);
  CHECK(slope(sigmoid, 0.0) == 0.25);
  CHECK(slope(sigmoid, -1000.0) == 0);
  CHECK(slope(sigmoid, 1000.0) == 0);
  CHECK(slope(abs, 0.0) == 1);
  CHECK(slope(abs, -0.0) == 1);
  CHECK(slope(relu, 0.0) == 0);
  CHECK(slope(relu, -0.0) == 0);
  CHECK(slope(sqrt, 0.0) == infinity);
}

TEST_CASE("unary: NaN stays NaN and values outside the domain become it") {
  for (const Unary& f : unaries) {
    CAPTURE(f.name);
    CHECK(std::isnan(f.op(Tensor::of({not_a_number}, {1})).value().item()));
  }
  CHECK(std::isnan(sqrt(Tensor::of({-1}, {1})).value().item()));
  CHECK(std::isnan(log(Tensor::of({-1}, {1})).value().item()));
  CHECK(log(Tensor::of({0}, {1})).value().item() == -infinity);
}

TEST_CASE("abs, neg and add_scalar: keep the norm of the gradient entry by entry") {
  Rng rng(13);
  const Tensor x = random_normal(rng, {8, 8}, 1, DType::f64);
  const Tensor dy = random_normal(rng, {8, 8}, 1, DType::f64);
  for (const Unary& f : {unaries[0], unaries[1], unaries[8]}) {
    CAPTURE(f.name);
    Tape tape;
    const Var leaf = tape.leaf(x);
    tape.backward(f.op(leaf), dy.clone());
    CHECK(max_abs_diff(abs(leaf.grad()).value(), abs(dy).value()) == 0);
  }
}

TEST_CASE("add, sub, mul: values are those of a plain loop under every repetition") {
  Rng rng(14);
  const Tensor a = random_normal(rng, {3, 50, 700});
  for (const Shape& shape : {Shape{3, 50, 700}, Shape{50, 700}, Shape{700}, Shape{}, Shape{1}}) {
    const Tensor b = random_normal(rng, shape);
    const Tensor sums = add(a, b).value();
    const Tensor differences = sub(a, b).value();
    const Tensor products = mul(a, b).value();
    const auto* x = a.data<float>();
    const auto* y = b.data<float>();
    bool equal = true;
    for (std::int64_t i = 0; i < a.size(); ++i) {
      const std::int64_t j = i % b.size();
      equal = equal && sums.data<float>()[i] == x[i] + y[j] &&
              differences.data<float>()[i] == x[i] - y[j] &&
              products.data<float>()[i] == x[i] * y[j];
    }
    CAPTURE(shape);
    CHECK(equal);
  }
  CHECK(add(Tensor({0, 3}), Tensor({3})).shape() == Shape{0, 3});
  CHECK(mul(Tensor({2, 0}), Tensor({0})).shape() == Shape{2, 0});
}

TEST_CASE("add, sub, mul: vjp and jvp match finite differences, also of an operand with itself") {
  Rng rng(15);
  const Tensor a = random_normal(rng, {3, 4}, 1, DType::f64);
  const Tensor b = random_normal(rng, {3, 4}, 1, DType::f64);
  CHECK(gradcheck("add", [](const Vars& in) { return in[0] + in[1]; }, {a, b}));
  CHECK(gradcheck("sub", [](const Vars& in) { return in[0] - in[1]; }, {a, b}));
  CHECK(gradcheck("mul", [](const Vars& in) { return in[0] * in[1]; }, {a, b}));
  CHECK(gradcheck("mul", [](const Vars& in) { return in[0] * in[0]; }, {a}));
  CHECK(gradcheck("mul", [&](const Vars& in) { return b * in[0]; }, {a}));
  CHECK(gradcheck("sub", [&](const Vars& in) { return b - in[0]; }, {a}));
  CHECK(gradcheck("operators", [](const Vars& in) { return -(2.0 * in[0]) + in[1]; }, {a, b}));
}

TEST_CASE("add, sub, mul, scale: are adjoint to their vjp in each operand") {
  Rng rng(16);
  const Tensor a = random_normal(rng, {40, 30});
  for (const Shape& shape : {Shape{40, 30}, Shape{30}, Shape{}}) {
    const auto zero = Tensor::zeros({40, 30});
    CHECK(adjoint_test(
        "add", [&](const Var& b) { return add(zero, b); }, shape, DType::f32, 1e-6));
    CHECK(adjoint_test(
        "sub", [&](const Var& b) { return sub(zero, b); }, shape, DType::f32, 1e-6));
    CHECK(adjoint_test(
        "mul", [&](const Var& b) { return mul(a, b); }, shape, DType::f32, 1e-6));
  }
  CHECK(adjoint_test(
      "scale", [](const Var& x) { return scale(x, 0.3); }, {7, 5}, DType::f64, 1e-14));
}

TEST_CASE("add, mul: a kept operand that is overwritten before backward is refused where needed") {
  Tape tape;
  const Var x = tape.leaf(Tensor::full({2}, 1));
  Tensor b = Tensor::full({2}, 3);
  const Var sum = add(x, b);
  const Var product = mul(x, b);
  b.write<float>()[0] = 5;
  CHECK_NOTHROW(tape.backward(sum, Tensor::full({2}, 1), {.retain = true}));
  CHECK_THROWS_WITH_AS(tape.backward(product, Tensor::full({2}, 1)),
                       "mul: expected the saved value of shape [2] as it was recorded, got one "
                       "that was overwritten since",
                       Error);
}

TEST_CASE("elementwise: one and many threads give the same bits") {
  const int threads = num_threads();
  Rng rng(17);
  const Tensor a = random_normal(rng, {300, 701});
  const Tensor b = random_normal(rng, {701});
  set_num_threads(1);
  const Tensor one = mul(abs(a), b).value();
  set_num_threads(4);
  const Tensor four = mul(abs(a), b).value();
  set_num_threads(threads);
  CHECK(max_abs_diff(one, four) == 0);
}

TEST_CASE("elementwise: errors name the op, what it wants and what it got") {
  CHECK_THROWS_WITH_AS(
      add(Tensor({2, 3}), Tensor({2})),
      "add: expected b of shape [2, 3], of its trailing axes or of one element, got [2]",
      ShapeError);
  CHECK_THROWS_WITH_AS(
      sub(Tensor({3}), Tensor({2, 3})),
      "sub: expected b of shape [3], of its trailing axes or of one element, got [2, 3]",
      ShapeError);
  CHECK_THROWS_WITH_AS(mul(Tensor({3}), Tensor({3}, DType::f64)),
                       "mul: expected equal element types, got f32 and f64", ShapeError);
  CHECK_THROWS_WITH_AS(relu(Tensor({3}, DType::u8)), "relu: expected f32 or f64, got u8",
                       ShapeError);
}

TEST_CASE("abs, relu: take the memory of a value that is given away, unless backward needs it") {
  Rng rng(9);
  const Tensor x = random_normal(rng, {4, 6});
  const Tensor before = x.clone();
  CHECK_FALSE(relu(x).value().shares_storage_with(x));
  for (const bool records : {false, true}) {
    Tape tape;
    const Var leaf = tape.leaf(x);
    const auto copy = [&] { return records ? scale(leaf, 1) : Var(x.clone()); };
    Var for_relu = copy();
    const auto* memory = for_relu.value().data<float>();
    CHECK(relu(std::move(for_relu)).value().data<float>() == memory);
    Var for_abs = copy();
    memory = for_abs.value().data<float>();
    const Var y = abs(std::move(for_abs));
    CHECK((y.value().data<float>() == memory) == !records);
    if (!records) continue;
    Var again = copy();
    const Var z = relu(std::move(again));
    tape.backward(z, Tensor::full(x.shape(), 1));
    for (std::int64_t i = 0; i < x.size(); ++i) CHECK(leaf.grad().at(i) == (x.at(i) > 0 ? 1 : 0));
  }
  CHECK(max_abs_diff(x, before) == 0);
}

TEST_SUITE_END();
