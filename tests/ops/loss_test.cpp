#include <doctest/doctest.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/loss.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/loss");

namespace {

using Labels = std::span<const std::int32_t>;
using Loss = std::function<Var(const Var&, Labels)>;

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double margin = 2.1213;

struct Named {
  const char* name;
  Loss loss;
};

const Named losses[] = {
    {"softmax_cross_entropy", softmax_cross_entropy},
    {"multi_margin", [](const Var& f, Labels y) { return multi_margin(f, y, margin); }}};

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

Tensor gradient(const Loss& loss, const Tensor& logits, Labels labels) {
  Tape tape;
  const Var f = tape.leaf(logits);
  tape.backward(loss(f, labels));
  return f.grad();
}

// The definitions, read off one row at a time.
double plain_cross_entropy(const Tensor& f, Labels labels) {
  double mean = 0;
  for (std::int64_t i = 0; i < f.dim(0); ++i) {
    double sum = 0;
    for (std::int64_t j = 0; j < f.dim(1); ++j) sum += std::exp(f.at(i * f.dim(1) + j));
    mean -= std::log(std::exp(f.at(i * f.dim(1) + labels[i])) / sum) / double(f.dim(0));
  }
  return mean;
}

double plain_margin(const Tensor& f, Labels labels) {
  double sum = 0;
  for (std::int64_t i = 0; i < f.dim(0); ++i) {
    for (std::int64_t j = 0; j < f.dim(1); ++j) {
      if (j == labels[i]) continue;
      sum += std::max(0.0, margin - f.at(i * f.dim(1) + labels[i]) + f.at(i * f.dim(1) + j));
    }
  }
  return sum / double(f.size());
}

}  // namespace

TEST_CASE("loss: values are those of the definition, in f64 and f32") {
  for (const Shape& shape : {Shape{1, 1}, Shape{1, 10}, Shape{7, 3}, Shape{1000, 17}}) {
    const Tensor f = normal(1, shape);
    const auto labels = random_labels(2, shape[0], shape[1]);
    const double expected[] = {plain_cross_entropy(f, labels), plain_margin(f, labels)};
    for (int k = 0; k < 2; ++k) {
      CAPTURE(losses[k].name);
      const Tensor y = losses[k].loss(f, labels).value();
      const Tensor y32 = losses[k].loss(f.to(DType::f32), labels).value();
      CHECK(y.shape() == Shape{});
      CHECK(y32.dtype() == DType::f32);
      CHECK(y.item() == doctest::Approx(expected[k]).epsilon(1e-13));
      CHECK(y32.item() == doctest::Approx(expected[k]).epsilon(1e-6));
    }
  }
}

TEST_CASE("multi_margin: has the golden value of torch's multi_margin_loss") {
  const std::array labels{0};
  const Tensor f = Tensor::of({1, 2, 0.5}, {1, 3}, DType::f64);
  CHECK(multi_margin(f, labels, 2.1213).value().item() == doctest::Approx(1.58087).epsilon(1e-5));
  CHECK(multi_margin(f, labels, 2.1213).value().item() == doctest::Approx(4.7426 / 3));
}

TEST_CASE("softmax_cross_entropy: of equal logits is log C") {
  const std::array labels{3, 9};
  CHECK(softmax_cross_entropy(Tensor::full({2, 10}, 5, DType::f64), labels).value().item() ==
        doctest::Approx(std::log(10)).epsilon(1e-15));
}

TEST_CASE("loss: vjp and jvp match finite differences") {
  for (const Named& tested : losses) {
    for (const Shape& shape : {Shape{1, 10}, Shape{4, 3}, Shape{9, 12}}) {
      const auto labels = random_labels(3, shape[0], shape[1]);
      const auto f = [&](const Vars& in) { return tested.loss(in[0], labels); };
      CHECK(gradcheck(tested.name, f, {normal(4, shape)}));
    }
  }
}

TEST_CASE("loss: the gradient in f32 is that in f64, scales with dy and sums to 0 in each row") {
  const auto labels = random_labels(5, 20, 10);
  const Tensor f = normal(6, {20, 10}, 3);
  for (const Named& tested : losses) {
    CAPTURE(tested.name);
    const Tensor grad = gradient(tested.loss, f, labels);
    CHECK(max_abs_diff(gradient(tested.loss, f.to(DType::f32), labels).to(DType::f64), grad) <=
          1e-7);
    for (std::int64_t i = 0; i < 20; ++i) {
      double sum = 0;
      for (std::int64_t j = 0; j < 10; ++j) sum += grad.at(i * 10 + j);
      CHECK(std::abs(sum) <= 1e-16);
    }
    Tape tape;
    const Var leaf = tape.leaf(f);
    tape.backward(tested.loss(leaf, labels), Tensor::full({}, -3, DType::f64));
    Tensor rest = leaf.grad().clone();
    add_in_place(rest, grad, 3);
    CHECK(max_abs(rest) <= 1e-16);
  }
}

TEST_CASE("loss: the norm of the gradient is within the Lipschitz constant stated, and near it") {
  const std::int64_t rows = 5;
  const std::int64_t classes = 40;
  const std::vector<std::int32_t> labels(rows, 0);
  Tensor wrong = Tensor::full({rows, classes}, 0, DType::f64);  // all but label 0 win
  for (std::int64_t i = 0; i < rows; ++i) wrong.write<double>()[i * classes] = -50;
  CHECK(frobenius_norm(gradient(losses[1].loss, wrong, labels)) <= 1 / std::sqrt(rows));
  CHECK(frobenius_norm(gradient(losses[1].loss, wrong, labels)) >= 0.98 / std::sqrt(rows));
  for (std::int64_t i = 0; i < rows; ++i) wrong.write<double>()[i * classes + 7] = 50;  // one wins
  CHECK(frobenius_norm(gradient(losses[0].loss, wrong, labels)) <=
        std::sqrt(2.0 / rows) * (1 + 1e-15));
  CHECK(frobenius_norm(gradient(losses[0].loss, wrong, labels)) >= 0.999 * std::sqrt(2.0 / rows));
}

TEST_CASE("softmax_cross_entropy: neither overflows nor loses small losses") {
  const std::array labels{0};
  for (const DType dtype : {DType::f32, DType::f64}) {
    const auto value = [&](std::initializer_list<double> f) {
      return softmax_cross_entropy(Tensor::of(f, {1, 2}, dtype), labels).value().item();
    };
    CHECK(value({1000, -1000}) == 0);
    CHECK(value({-1000, 1000}) == 2000);
    CHECK(value({1e30, 1e30}) == doctest::Approx(std::log(2)));
    CHECK(value({0, -infinity}) == 0);
    CHECK(value({0, -30}) == doctest::Approx(std::exp(-30)).epsilon(1e-2));
    const Tensor grad = gradient(losses[0].loss, Tensor::of({-1000, 1000}, {1, 2}, dtype), labels);
    CHECK(grad.at(0) == -1);
    CHECK(grad.at(1) == 1);
  }
}

TEST_CASE("multi_margin: the slope at equality is 0") {
  const std::array labels{1};
  const Tensor f = Tensor::of({0, 2, 0.5}, {1, 3}, DType::f64);  // z = 0 at class 0, 0.5 at class 2
  const Loss loss = [](const Var& x, Labels y) { return multi_margin(x, y, 2); };
  const Tensor third = Tensor::full({1}, 1.0 / 3, DType::f64);
  const Tensor grad = gradient(loss, f, labels);
  CHECK(grad.at(0) == 0);
  CHECK(grad.at(1) == -third.item());
  CHECK(grad.at(2) == third.item());
  const std::array of_zeros{0};
  const Loss no_margin = [](const Var& x, Labels y) { return multi_margin(x, y, 0); };
  CHECK(max_abs(gradient(no_margin, Tensor::zeros({1, 5}), of_zeros)) == 0);
}

TEST_CASE("loss: a NaN logit makes the loss NaN, and the gradient of its row only") {
  for (const Named& tested : losses) {
    CAPTURE(tested.name);
    const std::array labels{0, 2};
    for (const DType dtype : {DType::f32, DType::f64}) {
      for (const int place : {0, 1, 2}) {
        Tensor f = Tensor::zeros({2, 3}, DType::f64);
        f.write<double>()[place] = not_a_number;
        f = f.to(dtype);
        CHECK(std::isnan(tested.loss(f, labels).value().item()));
        const Tensor grad = gradient(tested.loss, f, labels);
        CHECK(std::isnan(grad.at(0)));
        CHECK(all_finite(grad.rows(1, 2)));
      }
    }
    Tensor f = Tensor::zeros({2, 3});
    f.write<float>()[4] = std::numeric_limits<float>::infinity();
    CHECK_FALSE(std::isfinite(tested.loss(f, labels).value().item()));
  }
}

TEST_CASE("loss: one and many threads give the same bits") {
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

TEST_CASE("loss: errors name the label, its row and the shapes") {
  std::vector<std::int32_t> labels{0, 1, 2, 12};
  const Tensor f({4, 10});
  CHECK_THROWS_WITH_AS(softmax_cross_entropy(f, labels),
                       "softmax_cross_entropy: expected labels in 0..9, got 12 at row 3",
                       ValueError);
  labels[3] = -1;
  CHECK_THROWS_WITH_AS(multi_margin(f, labels, 1),
                       "multi_margin: expected labels in 0..9, got -1 at row 3", ValueError);
  labels.pop_back();
  CHECK_THROWS_WITH_AS(softmax_cross_entropy(f, labels),
                       "softmax_cross_entropy: expected a label for each of 4 rows, got 3",
                       ShapeError);
  CHECK_THROWS_WITH_AS(multi_margin(Tensor({4}), labels, 1),
                       "multi_margin: expected logits of shape [N, C] with N and C >= 1, got [4]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(
      softmax_cross_entropy(Tensor({0, 10}), {}),
      "softmax_cross_entropy: expected logits of shape [N, C] with N and C >= 1, got [0, 10]",
      ShapeError);
  CHECK_THROWS_WITH_AS(multi_margin(f, labels, -1),
                       "multi_margin: expected a finite margin >= 0, got -1", ValueError);
  CHECK_THROWS_WITH_AS(multi_margin(f, labels, not_a_number),
                       "multi_margin: expected a finite margin >= 0, got nan", ValueError);
  const std::array one{0};
  CHECK_THROWS_WITH_AS(softmax_cross_entropy(Tensor({1, 2}, DType::u8), one),
                       "softmax_cross_entropy: expected f32 or f64, got u8", ShapeError);
}

TEST_SUITE_END();
