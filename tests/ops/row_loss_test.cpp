// What every loss of a classifier keeps, whatever its formula.

#include <doctest/doctest.h>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/cross_entropy.hpp>
#include <isotape/ops/hkr.hpp>
#include <isotape/ops/loss.hpp>
#include <isotape/ops/row_loss.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/row_loss");

namespace {

struct Named {
  const char* name;
  std::function<Var(const Var&, Labels)> loss;
};

const Named losses[] = {
    {"softmax_cross_entropy", softmax_cross_entropy},
    {"multi_margin", [](const Var& f, Labels y) { return multi_margin(f, y, 0.7); }},
    {"tempered_cross_entropy",
     [](const Var& f, Labels y) {
       return tempered_cross_entropy(f, y, {.temperature = 0.25, .offset = 0.6});
     }},
    {"logit_annealing",
     [](const Var& f, Labels y) {
       return logit_annealing(f, y, {.temperature = 0.75, .offset = 2, .beta = 5});
     }},
    {"certificate_regularized",
     [](const Var& f, Labels y) { return certificate_regularized(f, y, 0.5); }},
    {"kantorovich_rubinstein", kantorovich_rubinstein},
    {"hkr", [](const Var& f, Labels y) { return hkr(f, y, {.lambda = 3, .margin = 0.4}); }},
    {"soft_hkr", [](const Var& f, Labels y) {
       return soft_hkr(f, y, {.lambda = 3, .margin = 0.4, .temperature = 0.5});
     }}};

std::vector<std::int32_t> random_labels(std::uint64_t seed, std::int64_t rows,
                                        std::int64_t classes) {
  Rng rng(seed);
  std::vector<std::int32_t> labels(static_cast<std::size_t>(rows));
  for (auto& label : labels) label = static_cast<std::int32_t>(rng.below(classes));
  return labels;
}

Tensor normal(std::uint64_t seed, const Shape& shape, double deviation = 1) {
  Rng rng(seed);
  return random_normal(rng, shape, deviation, DType::f64);
}

Tensor gradient(const Named& tested, const Tensor& logits, Labels labels, double dy = 1) {
  Tape tape;
  const Var f = tape.leaf(logits);
  tape.backward(tested.loss(f, labels), Tensor::full({}, dy, logits.dtype()));
  return f.grad();
}

}  // namespace

TEST_CASE("row losses: vjp and jvp match finite differences") {
  for (const Named& tested : losses) {
    for (const Shape& shape : {Shape{1, 10}, Shape{4, 3}, Shape{9, 12}, Shape{6, 2}}) {
      const auto labels = random_labels(3, shape[0], shape[1]);
      const auto f = [&](const Vars& in) { return tested.loss(in[0], labels); };
      CHECK(gradcheck(tested.name, f, {normal(4, shape)}));
    }
  }
}

TEST_CASE("row losses: f32 is f64 rounded, in value and gradient, which scales with dy") {
  const auto labels = random_labels(5, 20, 10);
  const Tensor f = normal(6, {20, 10}, 3).to(DType::f32);
  const Tensor wide = f.to(DType::f64);
  for (const Named& tested : losses) {
    CAPTURE(tested.name);
    const double value = tested.loss(wide, labels).value().item();
    CHECK(tested.loss(f, labels).value().dtype() == DType::f32);
    CHECK(tested.loss(f, labels).value().item() == doctest::Approx(value).epsilon(1e-6));
    const Tensor grad = gradient(tested, wide, labels);
    CHECK(max_abs_diff(gradient(tested, f, labels).to(DType::f64), grad) <=
          1e-6 * (1 + max_abs(grad)));
    Tensor rest = gradient(tested, wide, labels, -3);
    add_in_place(rest, grad, 3);
    CHECK(max_abs(rest) <= 1e-15);
  }
}

TEST_CASE("row losses: outside a recording the value is the same") {
  const auto labels = random_labels(5, 20, 10);
  const Tensor f = normal(6, {20, 10});
  for (const Named& tested : losses) {
    const double constant = tested.loss(f, labels).value().item();
    Tape tape;
    CHECK(tested.loss(tape.leaf(f), labels).value().item() == constant);
  }
}

TEST_CASE("row losses: a NaN score makes the loss NaN, and the gradient of its row only") {
  const std::vector<std::int32_t> labels{0, 2};
  for (const Named& tested : losses) {
    CAPTURE(tested.name);
    for (const DType dtype : {DType::f32, DType::f64}) {
      for (const int place : {0, 1, 2}) {
        Tensor f = Tensor::zeros({2, 3}, DType::f64);
        f.write<double>()[place] = std::numeric_limits<double>::quiet_NaN();
        f = f.to(dtype);
        CHECK(std::isnan(tested.loss(f, labels).value().item()));
        const Tensor grad = gradient(tested, f, labels);
        for (int j = 0; j < 3; ++j) CHECK(std::isnan(grad.at(j)));
        CHECK(all_finite(grad.rows(1, 2)));
      }
    }
  }
}

TEST_CASE("row losses: one and many threads give the same bits") {
  const int threads = num_threads();
  const auto labels = random_labels(7, 20000, 10);
  Rng rng(8);
  const Tensor f = random_normal(rng, {20000, 10});
  for (const Named& tested : losses) {
    set_num_threads(1);
    const double one = tested.loss(f, labels).value().item();
    set_num_threads(4);
    const double four = tested.loss(f, labels).value().item();
    set_num_threads(threads);
    CHECK(one == four);
  }
}

TEST_CASE("row losses: errors name the op, the label, its row and the shapes") {
  for (const Named& tested : losses) {
    const std::string op = tested.name;
    const auto error = [&](const Tensor& f, const std::vector<std::int32_t>& labels) {
      try {
        tested.loss(f, labels);
      } catch (const Error& thrown) {
        return std::string(thrown.what());
      }
      return std::string("none");
    };
    CHECK(error(Tensor({2, 10}), {0, 10}) == op + ": expected labels in 0..9, got 10 at row 1");
    CHECK(error(Tensor({2, 10}), {-1, 0}) == op + ": expected labels in 0..9, got -1 at row 0");
    CHECK(error(Tensor({2, 10}), {0}) == op + ": expected a label for each of 2 rows, got 1");
    CHECK(error(Tensor({0, 10}), {}) ==
          op + ": expected logits of shape [N, C] with N and C >= 1, got [0, 10]");
    CHECK(error(Tensor({4}), {0}) ==
          op + ": expected logits of shape [N, C] with N and C >= 1, got [4]");
    CHECK(error(Tensor({1, 2}, DType::u8), {0}) == op + ": expected f32 or f64, got u8");
  }
}

TEST_CASE("RowSoftmax: keeps the digits of tiny losses, and does not overflow") {
  const double f[] = {0, -40};
  const RowSoftmax sure(f, 2, 0, 1, 0);
  CHECK(sure.cross_entropy() == doctest::Approx(std::exp(-40)).epsilon(1e-14));
  CHECK(sure.rest() == doctest::Approx(std::exp(-40)).epsilon(1e-14));
  const double far[] = {1e30, -1e30};
  CHECK(RowSoftmax(far, 2, 1, 1, 0).cross_entropy() == 2e30);
  CHECK(RowSoftmax(far, 2, 0, 1, 0).cross_entropy() == 0);
}

TEST_SUITE_END();
