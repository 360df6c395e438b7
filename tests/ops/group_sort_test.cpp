#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/group_sort.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/group_sort");

namespace {

constexpr double quiet_nan = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();

// As the docstring says, with std::stable_sort.
Tensor plain(const Tensor& x, std::int64_t size, Pairing pairing) {
  const std::int64_t channels = x.dim(-1);
  const std::int64_t count = channels / size;
  const std::int64_t rank = pairing == Pairing::split ? count : 1;
  const std::int64_t group = pairing == Pairing::split ? 1 : size;
  Tensor y = x.clone();
  auto* out = y.write<double>();
  for (std::int64_t row = 0; row < x.size() / channels; ++row) {
    for (std::int64_t g = 0; g < count; ++g) {
      std::vector<double> values;
      for (std::int64_t i = 0; i < size; ++i) {
        values.push_back(x.at(row * channels + i * rank + g * group));
      }
      std::stable_sort(values.begin(), values.end(), [](double a, double b) {
        return a > b || (std::isnan(a) && !std::isnan(b));
      });
      for (std::int64_t i = 0; i < size; ++i) {
        out[row * channels + i * rank + g * group] = values[i];
      }
    }
  }
  return y;
}

struct Run {
  Tensor y, grad;
};

// Forward, and backward of the given dy.
template <class F>
Run run(const F& f, const Tensor& x, const Tensor& dy) {
  Tape tape;
  const Var leaf = tape.leaf(x);
  const Var y = f(leaf);
  tape.backward(y, dy.clone());
  return {y.value(), leaf.grad()};
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return false;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const bool equal = a.at(i) == b.at(i) && std::signbit(a.at(i)) == std::signbit(b.at(i));
    if (!equal && !(std::isnan(a.at(i)) && std::isnan(b.at(i)))) return false;
  }
  return true;
}

std::vector<double> sorted(const Tensor& x) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < x.size(); ++i) values.push_back(x.at(i));
  std::sort(values.begin(), values.end());
  return values;
}

const Pairing pairings[] = {Pairing::split, Pairing::adjacent};

}  // namespace

TEST_CASE("max_min: split pairs channel i with i + C/2 and puts the maxima first") {
  const Tensor x = Tensor::of({1, 5, 3, /**/ 4, 2, 6}, {6});
  CHECK(same_bits(max_min(x).value(), Tensor::of({4, 5, 6, 1, 2, 3}, {6})));
  CHECK(same_bits(max_min(x, Pairing::adjacent).value(), Tensor::of({5, 1, 4, 3, 6, 2}, {6})));
}

TEST_CASE("group_sort: descending ranks in blocks, or within adjacent groups") {
  const Tensor x = Tensor::of({1, 5, /**/ 4, 2, /**/ 3, 6}, {6});
  CHECK(same_bits(group_sort(x, 3).value(), Tensor::of({4, 6, 3, 5, 1, 2}, {6})));
  CHECK(
      same_bits(group_sort(x, 3, Pairing::adjacent).value(), Tensor::of({5, 4, 1, 6, 3, 2}, {6})));
}

TEST_CASE("group_sort: any dividing group size on any rank agrees with std::stable_sort") {
  Rng rng(1);
  for (const Pairing pairing : pairings) {
    for (const Shape& shape : {Shape{12}, Shape{7, 12}, Shape{2, 3, 4, 12}, Shape{1, 600}}) {
      const Tensor x = random_normal(rng, shape, 1, DType::f64);
      for (const int size : {1, 2, 3, 4, 6, 12, 20, 200, 300, 600}) {
        if (shape[-1] % size != 0) continue;
        CAPTURE(size);
        CHECK(same_bits(group_sort(x, size, pairing).value(), plain(x, size, pairing)));
        const Tensor as_float = group_sort(x.to(DType::f32), size, pairing).value();
        CHECK(same_bits(as_float, plain(x, size, pairing).to(DType::f32)));
      }
    }
  }
}

TEST_CASE("group_sort: is stable, with NaN first, whatever the size of the group") {
  Rng rng(7);
  Tensor x = random_normal(rng, {3, 600}, 2, DType::f64);
  auto* values = x.write<double>();
  for (std::int64_t i = 0; i < x.size(); ++i) {
    values[i] = values[i] > 3 ? quiet_nan : std::round(values[i]);  // a dozen levels, -0 and +0
  }
  // With the places numbered by dy, the gradient says where each value went.
  std::vector<double> numbers(static_cast<std::size_t>(x.size()));
  std::iota(numbers.begin(), numbers.end(), 0);
  const Tensor dy = Tensor::of(numbers, x.shape());
  for (const Pairing pairing : pairings) {
    for (const int size : {3, 10, 20, 300}) {
      const auto f = [&](const Var& in) { return group_sort(in, size, pairing); };
      for (const DType dtype : {DType::f32, DType::f64}) {
        const Run r = run(f, x.to(dtype), dy.to(dtype));
        CHECK(same_bits(r.y, plain(x, size, pairing).to(dtype)));
        CHECK(sorted(r.grad) == numbers);
        Tensor routed = x.clone();
        for (std::int64_t i = 0; i < x.size(); ++i) {
          routed.write<double>()[i] = r.y.at(static_cast<std::int64_t>(r.grad.at(i)));
        }
        CHECK(same_bits(routed, x));
      }
    }
  }
}

TEST_CASE("max_min: equals group_sort of size 2 bit for bit, ties, NaN and infinities included") {
  const double special[] = {0.0, -0.0, 1, -1, quiet_nan, inf, -inf};
  std::vector<double> values;
  for (const double a : special) {
    for (const double b : special) values.insert(values.end(), {a, b, b, a});
  }
  const Tensor x = Tensor::of(values, {49, 4}, DType::f64);
  Rng rng(2);
  const Tensor dy = random_normal(rng, x.shape(), 1, DType::f64);
  for (const Pairing pairing : pairings) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      const auto fast = [&](const Var& in) { return max_min(in, pairing); };
      const auto general = [&](const Var& in) { return group_sort(in, 2, pairing); };
      const Run a = run(fast, x.to(dtype), dy.to(dtype));
      const Run b = run(general, x.to(dtype), dy.to(dtype));
      CHECK(same_bits(a.y, b.y));
      CHECK(same_bits(a.grad, b.grad));
      CHECK(same_bits(a.y, plain(x, 2, pairing).to(dtype)));
    }
  }
}

TEST_CASE("group_sort, max_min: vjp and jvp match finite differences") {
  Rng rng(3);
  for (const Pairing pairing : pairings) {
    for (const Shape& shape : {Shape{3, 12}, Shape{1, 12}, Shape{2, 2, 3, 12}}) {
      const Tensor x = random_normal(rng, shape, 1, DType::f64);
      for (const int size : {1, 2, 3, 12}) {
        const auto f = [=](const Vars& in) { return group_sort(in[0], size, pairing); };
        CHECK(gradcheck("group_sort", f, {x}));
      }
      const auto f = [=](const Vars& in) { return max_min(in[0], pairing); };
      CHECK(gradcheck("max_min", f, {x}));
    }
  }
  // A shuffle of 0..299: no two values closer than the step of the finite differences.
  const std::vector<std::int64_t> shuffle = rng.permutation(300);
  const std::vector<double> values(shuffle.begin(), shuffle.end());
  const auto whole = [](const Vars& in) { return group_sort(in[0], 300); };
  CHECK(gradcheck("group_sort", whole, {Tensor::of(values, {300}, DType::f64)}));
}

TEST_CASE("group_sort, max_min: the gradient is a permutation of dy, so its norm is exact") {
  Rng rng(4);
  const Tensor x = random_normal(rng, {50, 24});
  const Tensor dy = random_normal(rng, {50, 24});
  for (const Pairing pairing : pairings) {
    for (const int size : {1, 2, 3, 8, 24}) {
      const auto f = [&](const Var& in) { return group_sort(in, size, pairing); };
      CHECK(sorted(run(f, x, dy).grad) == sorted(dy));
      CHECK(sorted(run(f, x, dy).y) == sorted(x));
    }
    const auto f = [&](const Var& in) { return max_min(in, pairing); };
    CHECK(sorted(run(f, x, dy).grad) == sorted(dy));
  }
}

TEST_CASE("group_sort, max_min: a tie keeps its order and routes each gradient whole") {
  const Tensor x = Tensor::of({2, 1, 2, 2, 1, 2}, {6}, DType::f64);
  const Tensor dy = Tensor::of({1, 2, 3, 4, 5, 6}, {6}, DType::f64);
  // Pairs (2, 2), (1, 1), (2, 2): nothing moves.
  CHECK(same_bits(run([](const Var& in) { return max_min(in); }, x, dy).grad, dy));
  // Groups (2, 2, 1) and (1, 2, 2): the second one's last two move up.
  const Run r = run([](const Var& in) { return group_sort(in, 3); }, x, dy);
  CHECK(same_bits(r.y, Tensor::of({2, 2, 2, 2, 1, 1}, {6}, DType::f64)));
  CHECK(same_bits(r.grad, Tensor::of({1, 6, 3, 2, 5, 4}, {6}, DType::f64)));
}

TEST_CASE(
    "full_sort: all channels of a pixel, descending; equal ones route their gradients whole") {
  const Tensor x = Tensor::of({1, 5, 3, 3, /**/ -1, -1, -1, 7}, {2, 4}, DType::f64);
  const Tensor dy = Tensor::of({1, 2, 3, 4, 5, 6, 7, 8}, {2, 4}, DType::f64);
  const Run r = run([](const Var& in) { return full_sort(in); }, x, dy);
  CHECK(same_bits(r.y, Tensor::of({5, 3, 3, 1, 7, -1, -1, -1}, {2, 4}, DType::f64)));
  CHECK(same_bits(r.grad, Tensor::of({4, 1, 2, 3, 6, 7, 8, 5}, {2, 4}, DType::f64)));
  CHECK(full_sort(Tensor({3, 0})).shape() == Shape{3, 0});
  CHECK_THROWS_WITH_AS(full_sort(Tensor(Shape{})),
                       "full_sort: expected x of shape [..., C], got []", ShapeError);
}

TEST_CASE("group_sort: a NaN is the largest value, and no value is lost or doubled") {
  const Tensor x = Tensor::of({1, quiet_nan, -inf, 3, quiet_nan, inf}, {6});
  const Tensor y = group_sort(x, 6).value();
  CHECK(same_bits(y, Tensor::of({quiet_nan, quiet_nan, inf, 3, 1, -inf}, {6})));
  const Tensor dy = Tensor::of({1, 2, 3, 4, 5, 6}, {6});
  const Run r = run([](const Var& in) { return group_sort(in, 6); }, x, dy);
  CHECK(same_bits(r.grad, Tensor::of({5, 1, 6, 4, 2, 3}, {6})));
}

TEST_CASE("max_min: backward leaves a dy that others hold untouched") {
  Rng rng(5);
  const Tensor x = random_normal(rng, {4, 6});
  const Tensor dy = random_normal(rng, {4, 6});
  const Tensor before = dy.clone();
  Tape tape;
  const Var leaf = tape.leaf(x);
  tape.backward(max_min(leaf), dy);
  CHECK(same_bits(dy, before));
  CHECK_FALSE(same_bits(leaf.grad(), dy));
}

TEST_CASE("group_sort, max_min: one thread gives what several give; empty tensors pass") {
  Rng rng(6);
  const int threads = num_threads();
  const Tensor x = random_normal(rng, {8192, 24});
  for (const int size : {2, 3}) {
    const auto f = [&](const Var& in) { return size == 2 ? max_min(in) : group_sort(in, size); };
    set_num_threads(1);
    const Run one = run(f, x, x);
    set_num_threads(3);
    const Run several = run(f, x, x);
    set_num_threads(threads);
    CHECK(max_abs_diff(one.y, several.y) == 0);
    CHECK(max_abs_diff(one.grad, several.grad) == 0);
  }
  CHECK(max_min(Tensor({3, 0})).shape() == Shape{3, 0});
  CHECK(group_sort(Tensor({0, 6}), 3).shape() == Shape{0, 6});
}

TEST_CASE("group_sort, max_min: reject groups that do not divide") {
  CHECK_THROWS_WITH_AS(max_min(Tensor({2, 5})),
                       "max_min: expected x of shape [..., C] with C even, got [2, 5]", ShapeError);
  CHECK_THROWS_WITH_AS(
      group_sort(Tensor({2, 6}), 4),
      "group_sort: expected x of shape [..., C] with C a multiple of the group size 4, got [2, 6]",
      ShapeError);
  CHECK_THROWS_WITH_AS(group_sort(Tensor({2, 6}), 0),
                       "group_sort: expected a group size >= 1, got 0", ValueError);
  CHECK_THROWS_WITH_AS(max_min(Tensor(Shape{})),
                       "max_min: expected x of shape [..., C] with C even, got []", ShapeError);
  CHECK_THROWS_WITH_AS(max_min(Tensor({2, 4}, DType::u8)), "max_min: expected f32 or f64, got u8",
                       ShapeError);
  CHECK_THROWS_WITH_AS(group_sort(Tensor({2, 4}, DType::u8), 2),
                       "group_sort: expected f32 or f64, got u8", ShapeError);
}

TEST_SUITE_END();
